// This tab as a libp2p peer.

import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { MAX_PEERS } from './peers.js'

export const DIAL_SECONDS = 10

// It listens on nothing, looks nothing up, and dials only whom we tell it to.
export async function startNode () {
  return await createLibp2p({
    addresses: { listen: [] },
    transports: [webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Addresses are looked at before they are dialled (announcement.js); a peer in a closed network may have a private one.
    connectionGater: { denyDialMultiaddr: () => false },
    connectionManager: {
      maxConnections: MAX_PEERS + 1,
      dialTimeout: DIAL_SECONDS * 1000,
      addressDialTimeout: DIAL_SECONDS * 1000,
      resolvers: {},
      reconnectRetries: 0
    },
    connectionMonitor: { enabled: false }, // our own pings see it
    services: { identify: identify(), ping: ping(), pubsub: gossipsub() }
  })
}

// Call `received(payload, author, seen by us as)` for each message on the topic that `isGood(payload, author)`; others are
// not passed on, and count against whoever sent them.
export function subscribe (node, topic, isGood, received) {
  const { pubsub } = node.services
  pubsub.topicValidators.set(topic, (_, { data, from }) => from != null && isGood(data, from) ? 'accept' : 'reject')
  pubsub.addEventListener('message', ({ detail }) => {
    if (detail.topic === topic && detail.from != null) {
      received(detail.data, detail.from)
    }
  })
  pubsub.subscribe(topic)
}
