// The page: become a peer, reach the issue server, listen for announcements, dial whoever announces itself.

import { multiaddr } from '@multiformats/multiaddr'
import { decodeAnnouncement, placeOf } from './announcement.js'
import { byId, setText } from './dom.js'
import { CERTIFICATE, SERVER, connectionEnded } from './failures.js'
import { startNode, subscribe } from './node.js'
import { Peers, HISTORY_MS, PING_EVERY_MS, isAnnounced, median } from './peers.js'
import { plotPeers, plotRoundTrips } from './plot.js'
import { NewsView, PeersView, StepsView, showPage } from './view.js'
import { Failed, dial, ping, sayHello } from './visit.js'
import { ago, count, inSeconds, milliseconds, shortId } from './words.js'

const TICK_MS = 1000
const SHOW_MS = 100 // what happens within this is shown at once: hundreds of strangers may announce themselves in a second
const MAX_PAUSE_MS = 30_000 // between tries to reach the issue server
const MISSED_PINGS = 2 // in a row, and the connection is given up

class Page {
  peers = new Peers()
  news = new NewsView()
  steps = new StepsView(() => this.retryIssuer())
  rows = new PeersView({ sayHello: id => this.hello(id), choose: () => this.drawPlots() })
  connections = new Map() // peer ID → connection, of peers that announced themselves
  issuer = { state: 'waiting', text: '', failures: 0, retryAt: 0, ping: null }
  announcements = { count: 0, last: null }
  samples = [] // for the plot: { at, here, connected }
  config = null
  node = null
  trouble = null // why this page can do nothing
  showing = null // the timer by which it shows what has happened

  async start () {
    showPage()
    this.tick()
    setInterval(() => this.tick(), TICK_MS)
    try {
      this.config = await loadConfig()
      this.node = await startNode()
    } catch (error) {
      this.trouble = error.message
      this.news.add(`This page cannot start: ${error.message}`, 'bad')
      this.show()
      return
    }
    this.news.add(`This tab is a libp2p peer now: ${shortId(this.self)}`)
    subscribe(this.node, this.config.topic, (data, from) => decoded(data, from) != null, (data, from) => this.heard(data, from))
    this.node.addEventListener('connection:close', ({ detail }) => this.closed(detail))
    this.show()
    await this.reachIssuer()
  }

  get self () {
    return this.node.peerId.toString()
  }

  // The issue server.

  // asked: by a person, who is told the outcome even where it is the same again.
  async reachIssuer (asked = false) {
    const addresses = this.config.issuer.map(text => multiaddr(text))
    if (addresses.length === 0) {
      Object.assign(this.issuer, { state: 'failed', text: 'It serves no secure WebSocket (its operator has set no wss_listen), so no browser can hear of its peers.' })
      this.show()
      return
    }
    Object.assign(this.issuer, { state: 'doing', text: `Dialling ${placeOf(addresses[0])} …` })
    this.show()
    try {
      const { connection, address } = await dial(this.node, addresses, SERVER)
      Object.assign(this.issuer, { state: 'done', connection, failures: 0, failure: null, text: `Connected to ${placeOf(address)} over its secure WebSocket` })
      this.news.add(`Connected to the issue server at ${placeOf(address)}`, 'good')
      this.keepPinging(connection, ms => { this.issuer.ping = ms }, () => {})
    } catch (error) {
      this.issuerFailed(failureOf(error), asked)
    }
    this.show()
  }

  issuerFailed (failure, asked = false) {
    if (asked || failure.kind !== this.issuer.failure?.kind) {
      this.news.add(`The issue server: ${failure.title}. ${failure.text}`, 'bad')
    }
    const failures = this.issuer.failures + 1
    const pause = Math.min(MAX_PAUSE_MS, TICK_MS * 2 ** failures)
    Object.assign(this.issuer, { state: 'failed', failures, connection: null, ping: null, failure, retryAt: Date.now() + pause })
  }

  retryIssuer () {
    if (this.issuer.state === 'failed' && this.node != null) {
      this.reachIssuer(true)
    }
  }

  // Peers.

  heard (data, from) {
    const announcement = decoded(data, from)
    const id = announcement.peer.toString()
    if (id === this.self) {
      return
    }
    const now = Date.now()
    this.announcements = { count: this.announcements.count + 1, last: now }
    if (this.peers.heard(id, announcement.addresses, now, from.toString())) {
      this.news.add(`Found ${shortId(id)}`)
    }
    this.dialDue()
    this.show()
  }

  dialDue () {
    for (const peer of this.peers.dueToDial(Date.now())) {
      this.visit(peer)
    }
  }

  async visit ({ id, addresses }) {
    try {
      const { connection, address } = await dial(this.node, addresses, CERTIFICATE)
      this.connections.set(id, connection)
      this.peers.connected(id, address, Date.now())
      this.news.add(`Connected to ${shortId(id)} at ${placeOf(address)}`, 'good')
      await this.hello(id)
      this.keepPinging(connection, ms => this.peers.pinged(id, ms, Date.now()), failure => this.peers.pingFailed(id, failure))
    } catch (error) {
      const failure = failureOf(error)
      if (this.peers.get(id)?.failure?.kind !== failure.kind) {
        this.news.add(`${shortId(id)}: ${failure.title}. ${failure.text}`, 'bad')
      }
      this.peers.failed(id, failure, Date.now())
    }
    this.dialDue()
    this.show()
  }

  async hello (id) {
    const connection = this.connections.get(id)
    if (connection == null) {
      return
    }
    try {
      const text = await sayHello(connection, `Hello from a browser: I am ${this.self}`)
      this.peers.said(id, text, Date.now())
      this.news.add(`${shortId(id)} says: ${text}`)
    } catch (error) {
      const failure = failureOf(error)
      this.peers.messageFailed(id, failure)
      this.news.add(`${shortId(id)}: ${failure.title}`)
    }
    this.show()
  }

  async keepPinging (connection, pinged, failed) {
    let missed = 0
    while (connection.status === 'open') {
      try {
        pinged(await ping(connection))
        missed = 0
      } catch (error) {
        failed(failureOf(error))
        missed++
      }
      if (missed === MISSED_PINGS) {
        connection.abort(new Error('pings are not answered'))
      }
      await new Promise(resolve => setTimeout(resolve, PING_EVERY_MS))
    }
  }

  closed (connection) {
    if (connection === this.issuer.connection) {
      this.issuerFailed(connectionEnded())
    }
    for (const [id, ours] of this.connections) {
      if (ours === connection) {
        this.connections.delete(id)
        this.peers.failed(id, connectionEnded(), Date.now())
        this.news.add(`The connection to ${shortId(id)} ended`, 'bad')
      }
    }
    this.show()
  }

  // What is seen.

  tick () {
    const now = Date.now()
    for (const { id } of this.peers.tick(now)) {
      this.news.add(`${shortId(id)} is gone: it does not announce itself any more`, 'bad')
    }
    if (this.issuer.state === 'failed' && this.node != null && this.issuer.retryAt > 0 && now >= this.issuer.retryAt) {
      this.issuer.retryAt = 0
      this.reachIssuer()
    }
    this.samples.push({ at: now, ...this.peers.counts(now) })
    this.samples = this.samples.filter(({ at }) => now - at <= HISTORY_MS)
    this.#showNow()
    this.drawPlots()
  }

  // Soon.
  show () {
    this.showing ??= setTimeout(() => {
      this.showing = null
      this.#showNow()
    }, SHOW_MS)
  }

  #showNow () {
    const now = Date.now()
    this.steps.show(this.#stepsNow(now))
    this.rows.show(this.peers.all, now, this.#emptyText(), this.peers.isCrowded(now))
    const { here, connected } = this.peers.counts(now)
    const middle = median(this.#pings())
    const title = this.config == null ? document.title : `${count(connected, 'peer')} – ${this.config.zone}`
    if (title !== document.title) {
      document.title = title
    }
    setText(byId('number-connected'), String(connected))
    setText(byId('unit-connected'), connected === 1 ? 'peer connected' : 'peers connected')
    setText(byId('number-heard'), String(here))
    setText(byId('number-ping'), milliseconds(middle))
    setText(byId('plot-peers-text'), `${count(here, 'peer')} heard of, ${connected} connected.`)
    setText(byId('plot-round-trips-text'), middle == null ? 'No round trip yet.' : `The median round trip is ${milliseconds(middle)} now.`)
  }

  drawPlots () {
    const now = Date.now()
    plotPeers(byId('plot-peers'), this.samples, now)
    plotRoundTrips(byId('plot-round-trips'), this.peers.all, now, this.rows.chosen)
  }

  #pings () {
    return this.peers.all.filter(({ ping }) => ping != null).map(({ ping }) => ping)
  }

  #emptyText () {
    if (this.trouble != null || this.issuer.state === 'failed') {
      return 'Nobody can be heard of while the issue server is out of reach.'
    }
    return this.issuer.state === 'done'
      ? 'Nobody has announced itself yet. Peers do so every few seconds, and appear here as they come.'
      : 'Peers appear here as soon as the issue server is reached.'
  }

  #stepsNow (now) {
    return [this.#becomeStep(), this.#issuerStep(now), this.#listenStep(now), this.#dialStep(now)]
  }

  #becomeStep () {
    const step = { id: 'become', title: 'Become a peer' }
    if (this.trouble != null) {
      return { ...step, state: 'failed', text: this.trouble }
    }
    if (this.node == null) {
      return { ...step, state: 'doing', text: 'Making a key …' }
    }
    return { ...step, state: 'done', text: `This tab is ${shortId(this.self)}, with a key that it forgets when you leave.` }
  }

  #issuerStep (now) {
    const { state, text, ping, failure, retryAt, connection } = this.issuer
    const step = { id: 'issuer', title: 'Reach the issue server', state }
    if (state === 'failed' && failure != null) {
      return { ...step, text: `${failure.title}. ${failure.text} Next try ${inSeconds(retryAt - now)}.`, canRetry: true }
    }
    const trip = ping == null || connection == null ? '' : `, ${milliseconds(ping)} there and back`
    return { ...step, text: state === 'waiting' ? 'Over a secure WebSocket.' : `${text}${trip}${state === 'done' ? '.' : ''}` }
  }

  #listenStep (now) {
    const step = { id: 'listen', title: 'Listen for announcements' }
    const { count: number, last } = this.announcements
    if (this.issuer.state !== 'done') {
      return { ...step, state: 'waiting', text: 'Peers announce themselves over pubsub, signed.' }
    }
    if (number === 0) {
      return { ...step, state: 'doing', text: `Joined the topic ${this.config.topic}; nothing was announced yet.` }
    }
    return { ...step, state: 'done', text: `${count(number, 'announcement')} on ${this.config.topic}, the last ${ago(now - last)}.` }
  }

  #dialStep (now) {
    const step = { id: 'dial', title: 'Dial each peer' }
    const all = this.peers.all.filter(peer => peer.phase === 'connected' || isAnnounced(peer, now))
    const phases = phase => all.filter(peer => peer.phase === phase).length
    if (all.length === 0) {
      return { ...step, state: 'waiting', text: 'Each over its own certificate; then ping it, and exchange a message.' }
    }
    const failed = phases('failed')
    const text = `${phases('connected')} of ${all.length} connected, each over its own certificate${failed > 0 ? `; ${failed} failed` : ''}.`
    const state = phases('dialling') + phases('found') > 0 ? 'doing' : failed === all.length ? 'failed' : 'done'
    return { ...step, state, text }
  }
}

async function loadConfig () {
  const response = await fetch('config.json')
  if (!response.ok) {
    throw new Error(`the server answers ${response.status} for config.json`)
  }
  return await response.json()
}

function decoded (data, from) {
  try {
    return decodeAnnouncement(data, from)
  } catch {
    return null
  }
}

// What is no Failed is a bug of ours: it goes to the console as well.
function failureOf (error) {
  if (error instanceof Failed) {
    return error.failure
  }
  console.error(error)
  return { kind: 'other', title: 'The page made a mistake', text: String(error) }
}

new Page().start()
