// A js-libp2p node that does what it is told on standard input (lines.mjs). `start` comes first.

import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { floodsub } from '@libp2p/floodsub'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { emit, serve } from './lines.mjs'
import { useNameServer } from './nameserver.mjs'
import { digest, echo, handleStreams } from './streams.mjs'

const SECURITY = { noise: noise(), tls: tls() }
const LOOK_AGAIN_MS = 20
const now = () => Date.now() / 1000 // the time of messages: seconds since 1970, as in the Go peer and in ours
const PUBSUB = { gossipsub: () => gossipsub({ allowPublishToZeroTopicPeers: true }), floodsub: () => floodsub() }

let node
const identified = new Map() // peer ID text -> what it said of itself
const identifyWaiters = []

function connectionTo (peer) {
  const [connection] = node.getConnections(peerIdFromString(peer))
  if (connection == null) {
    throw new Error(`not connected to ${peer}`)
  }
  return connection
}

function describe (connection) {
  return {
    peer: connection.remotePeer.toString(),
    address: connection.remoteAddr.toString(),
    direction: connection.direction,
    security: connection.encryption ?? null,
    muxer: connection.multiplexer ?? null
  }
}

function onIdentified ({ detail }) {
  const peer = detail.peerId.toString()
  identified.set(peer, {
    agent: detail.agentVersion ?? '',
    protocolVersion: detail.protocolVersion ?? '',
    protocols: detail.protocols,
    observed: detail.observedAddr?.toString() ?? '',
    addresses: detail.listenAddrs.map(String),
    signed: detail.signedPeerRecord != null
  })
  for (const waiter of identifyWaiters.splice(0)) {
    waiter()
  }
}

function httpsOptions ({ certificate, key }) {
  return certificate == null ? {} : { https: { cert: readFileSync(certificate), key: readFileSync(key) } }
}

const commands = {
  // listen: multiaddrs; security: names in order of preference; pubsub: "gossipsub", "floodsub" or absent;
  // nameServer: "host:port"; certificate and key: PEM files for a /tls/ws listener
  async start ({ listen = [], security = ['noise'], pubsub, nameServer, certificate, key }) {
    if (nameServer != null) {
      useNameServer(nameServer)
    }
    node = await createLibp2p({
      addresses: { listen },
      transports: [tcp(), webSockets(httpsOptions({ certificate, key }))],
      connectionEncrypters: security.map(name => SECURITY[name]),
      streamMuxers: [yamux()],
      services: {
        identify: identify(),
        identifyPush: identifyPush(),
        ping: ping(),
        ...(pubsub == null ? {} : { pubsub: PUBSUB[pubsub]() })
      }
    })
    node.addEventListener('peer:identify', onIdentified)
    node.addEventListener('connection:open', ({ detail }) => { emit({ event: 'connected', ...describe(detail) }) })
    node.addEventListener('connection:close', ({ detail }) => { emit({ event: 'disconnected', ...describe(detail) }) })
    node.services.pubsub?.addEventListener('message', ({ detail }) => {
      const data = Buffer.from(detail.data).toString('base64')
      emit({ event: 'message', topic: detail.topic, data, source: detail.from?.toString() ?? null, at: now() })
    })
    await handleStreams(node)
    await node.start()
    return { peer: node.peerId.toString(), listening: node.getMultiaddrs().map(String) }
  },

  async dial ({ addr }) {
    return describe(await node.dial(multiaddr(addr), { signal: AbortSignal.timeout(20_000) }))
  },

  connections () {
    return { connections: node.getConnections().map(describe) }
  },

  async hangup ({ peer }) {
    await node.hangUp(peerIdFromString(peer))
  },

  // What `peer` said of itself, as soon as it has.
  async identify ({ peer }) {
    while (!identified.has(peer)) {
      await new Promise(resolve => identifyWaiters.push(resolve))
    }
    return identified.get(peer)
  },

  // Answers once `peer` is known to be at `addr`, as identify or a push of it said.
  async awaitAddress ({ peer, addr }) {
    for (;;) {
      const { addresses } = await node.peerStore.get(peerIdFromString(peer))
      if (addresses.some(({ multiaddr }) => multiaddr.toString() === addr)) {
        return
      }
      await setTimeout(LOOK_AGAIN_MS)
    }
  },

  // Serves one more protocol, which the peers are told.
  async handle ({ protocol }) {
    await node.handle(protocol, stream => { stream.abort(new Error('only the name of this protocol is served')) })
  },

  async ping ({ peer }) {
    return { ms: await node.services.ping.ping(peerIdFromString(peer), { signal: AbortSignal.timeout(20_000) }) }
  },

  echo ({ peer, bytes }) {
    return echo(connectionTo(peer), bytes)
  },

  digest ({ peer, bytes }) {
    return digest(connectionTo(peer), bytes)
  },

  subscribe ({ topic }) {
    node.services.pubsub.subscribe(topic)
  },

  async publish ({ topic, data }) {
    const at = now()
    const { recipients } = await node.services.pubsub.publish(topic, Buffer.from(data, 'base64'))
    return { recipients: recipients.map(String), at }
  },

  // Who is known to want the topic, and (gossipsub) who is in our mesh for it.
  pubsub ({ topic }) {
    const pubsub = node.services.pubsub
    return { subscribers: pubsub.getSubscribers(topic).map(String), mesh: pubsub.getMeshPeers?.(topic) ?? [] }
  },

  // Answers once all of `subscribers` are known to want the topic and all of `mesh` are in our mesh for it.
  async awaitPubsub ({ topic, subscribers = [], mesh = [] }) {
    for (;;) {
      const known = commands.pubsub({ topic })
      if (subscribers.every(peer => known.subscribers.includes(peer)) && mesh.every(peer => known.mesh.includes(peer))) {
        return known
      }
      await setTimeout(LOOK_AGAIN_MS)
    }
  },

  async stop () {
    await node?.stop()
    setImmediate(() => process.exit(0))
  }
}

serve(commands)
