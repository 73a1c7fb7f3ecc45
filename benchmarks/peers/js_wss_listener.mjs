// A js-libp2p node for `benchmarks/wss_idle.py`: run it where the npm packages of tests/interop/peers/js are.
//
//   node js_wss_listener.mjs KEY_FILE CHAIN_FILE
//
// It prints one line of JSON, its address, and takes any number of connections.

import { readFileSync } from 'node:fs'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

const [key, cert] = process.argv.slice(2).map(file => readFileSync(file))
const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0/tls/ws'] },
  transports: [webSockets({ https: { key, cert } })],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: { maxConnections: Infinity, maxIncomingPendingConnections: Infinity, inboundConnectionThreshold: Infinity },
  services: { identify: identify(), ping: ping() }
})
const [address] = node.getMultiaddrs().map(String)
console.log(JSON.stringify({ address: address.replace('/tls/ws', '/tls/sni/localhost/ws') }))
