// The page's elements, kept as the state says. Rows stay the same elements, so that focus and selection stay where they are.

import { dialable, placeOf } from './announcement.js'
import { byId, element, setData, setText } from './dom.js'
import { ago, clock, count, inSeconds, milliseconds, shortId } from './words.js'

const MAX_NEWS = 60

const PHASES = {
  found: 'found',
  dialling: 'dialling …',
  connected: 'connected',
  failed: 'failed',
  gone: 'gone'
}

export function showPage () {
  for (const section of document.querySelectorAll('main > [hidden]')) {
    section.hidden = false
  }
}

// steps: [{ id, title, state, text, action }]; state: 'waiting', 'doing', 'done' or 'failed'
export class StepsView {
  #list = byId('steps')
  #items = new Map()

  constructor (retry) {
    this.#retry = retry
  }

  #retry

  show (steps) {
    for (const { id, title, state, text, canRetry = false } of steps) {
      const item = this.#items.get(id) ?? this.#add(id, title)
      setData(item.row, 'state', state)
      setText(item.state, STATES[state])
      setText(item.text, text)
      item.button.hidden = !canRetry
    }
  }

  #add (id, title) {
    const state = element('span.for-readers')
    const text = element('p')
    const button = element('button', { type: 'button' }, 'Try again now')
    button.addEventListener('click', this.#retry)
    const row = element('li', { id: `step-${id}` }, element('span.sign', { 'aria-hidden': 'true' }),
      element('div', {}, element('h3', {}, title, ' ', state), text, button))
    this.#list.append(row)
    const item = { row, state, text, button }
    this.#items.set(id, item)
    return item
  }
}

const STATES = { waiting: '(waiting)', doing: '(under way)', done: '(done)', failed: '(failed)' }

export class PeersView {
  #rows = new Map()
  #list = byId('peers')
  chosen = null // the ID of the peer that is pointed at or has the focus

  constructor ({ sayHello, choose }) {
    this.#sayHello = sayHello
    this.#choose = choose
  }

  #sayHello
  #choose

  show (peers, now, emptyText, isCrowded) {
    const ids = new Set(peers.map(({ id }) => id))
    for (const [id, row] of this.#rows) {
      if (!ids.has(id)) {
        row.remove()
        this.#rows.delete(id)
      }
    }
    for (const peer of peers) {
      this.#row(peer.id).show(peer, now)
    }
    byId('empty').hidden = peers.length > 0
    setText(byId('empty-text'), emptyText)
    byId('unseen').hidden = !isCrowded
    setText(byId('unseen'), 'There are more peers than this page has room for.')
  }

  #row (id) {
    if (!this.#rows.has(id)) {
      const row = new PeerRow(id, () => this.#sayHello(id), chosen => {
        this.chosen = chosen ? id : null
        this.#choose()
      })
      this.#rows.set(id, row)
      this.#list.append(row.root)
    }
    return this.#rows.get(id)
  }
}

class PeerRow {
  constructor (id, sayHello, choose) {
    const title = `peer-${id}`
    this.phase = element('span.phase')
    this.ping = element('span.ping')
    this.where = element('p.where')
    this.message = element('blockquote.message')
    this.failure = element('div.failure', {}, element('strong'), ' ', element('span'))
    this.note = element('p.quiet')
    this.facts = element('dl')
    this.button = element('button', { type: 'button' }, 'Say hello again', element('span.for-readers', {}, ` to ${shortId(id)}`))
    this.button.addEventListener('click', sayHello)
    this.root = element('li.peer', { 'aria-labelledby': title },
      element('div.head', {}, element('span.dot', { 'aria-hidden': 'true' }),
        element('h3', { id: title, title: id }, element('code', {}, shortId(id))), this.phase, this.ping),
      this.where, this.message, this.failure, this.note,
      element('details', {}, element('summary', {}, 'Details', element('span.for-readers', {}, ` of ${shortId(id)}`)), this.facts, this.button))
    this.root.addEventListener('pointerenter', () => choose(true))
    this.root.addEventListener('pointerleave', () => choose(false))
    this.root.addEventListener('focusin', () => choose(true))
    this.root.addEventListener('focusout', () => choose(false))
  }

  remove () {
    this.root.remove()
  }

  show (peer, now) {
    setData(this.root, 'phase', peer.phase)
    setData(this.root, 'colour', peer.colour)
    setText(this.phase, PHASES[peer.phase])
    setText(this.ping, peer.phase === 'connected' ? milliseconds(peer.ping) : '')
    setText(this.where, whereabouts(peer, now))
    this.#showMessage(peer)
    this.#showFailure(peer.failure ?? peer.pingFailure, peer, now)
    const { messageFailure } = peer
    setText(this.note, peer.phase === 'connected' && messageFailure != null ? `${messageFailure.title}. ${messageFailure.text}` : '')
    this.button.disabled = peer.phase !== 'connected'
    this.#showFacts(peer, now)
  }

  #showMessage ({ said, phase }) {
    setText(this.message, said?.text ?? '')
    this.message.hidden = said == null || phase !== 'connected'
  }

  #showFailure (failure, peer, now) {
    this.failure.hidden = failure == null
    if (failure != null) {
      setData(this.failure, 'kind', failure.kind)
      setText(this.failure.firstChild, `${failure.title}.`)
      setText(this.failure.lastChild, `${failure.text}${nextTry(peer, now)}`)
    }
  }

  #showFacts (peer, now) {
    const addresses = peer.addresses.map(String)
    const rows = {
      'Peer ID': peer.id,
      Announced: `${count(peer.announcements, 'time')}, the last ${ago(now - peer.lastHeard)}`,
      [addresses.length === 1 ? 'Address' : 'Addresses']: addresses.join('\n'),
      ...(peer.openedIn == null ? {} : { 'Connected in': milliseconds(peer.openedIn) }),
      'Round trips': peer.roundTrips.length === 0 ? 'none yet' : roundTripFacts(peer.roundTrips)
    }
    const terms = Object.keys(rows)
    if (this.facts.childElementCount !== 2 * terms.length) {
      this.facts.replaceChildren(...terms.flatMap(term => [element('dt', {}, term), element('dd')]))
    }
    terms.forEach((term, n) => {
      setText(this.facts.children[2 * n], term)
      setText(this.facts.children[2 * n + 1], rows[term])
    })
  }
}

function roundTripFacts (roundTrips) {
  const all = roundTrips.map(({ ms }) => ms)
  return `${all.length}, from ${milliseconds(Math.min(...all))} to ${milliseconds(Math.max(...all))}`
}

function whereabouts ({ phase, address, addresses, lastHeard }, now) {
  if (phase === 'connected') {
    return `wss://${placeOf(address)}, with its own certificate`
  }
  if (phase === 'gone') {
    return `Last heard of ${ago(now - lastHeard)}. Its row stays for a while.`
  }
  const [first] = dialable(addresses)
  return first == null ? 'No address for browsers' : `wss://${placeOf(first)}`
}

function nextTry ({ phase, retryAt, lastHeard, failedAt }, now) {
  if (phase !== 'failed') {
    return ''
  }
  return lastHeard < failedAt ? ' It is dialled again when it next announces itself.' : ` Next try ${inSeconds(retryAt - now)}.`
}

export class NewsView {
  #list = byId('news')

  add (text, kind = 'plain') {
    const atEnd = this.#list.scrollTop < 4
    const now = new Date()
    const item = element(`li.${kind}`, {}, element('time', { datetime: now.toISOString() }, clock(now)), ' ', element('span', {}, text))
    this.#list.prepend(item)
    while (this.#list.childElementCount > MAX_NEWS) {
      this.#list.lastElementChild.remove()
    }
    if (atEnd) {
      this.#list.scrollTop = 0
    }
  }
}
