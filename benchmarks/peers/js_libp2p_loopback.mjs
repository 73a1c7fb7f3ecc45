// What libp2p_loopback.py measures of ours, measured of js-libp2p: run it where the npm packages of tests/interop/peers/js are.
//
//   node js_libp2p_loopback.mjs [SECONDS] [MEGABYTES]
//
// The last line is the same line of JSON.

import { randomBytes } from 'node:crypto'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

const SINK = '/benchmark/sink/1.0.0'
const PIECE_BYTES = 64 * 1024
const PARALLEL = 8

const [seconds = 3, megabytes = 500] = process.argv.slice(2).map(Number)

function makeNode (listen = []) {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: Infinity },
    services: { identify: identify(), ping: ping() }
  })
}

// Handshakes with a ping, a second. Each worker is a node of its own, so that no connection is reused.
async function handshakes (address, seconds, parallel) {
  const dialers = await Promise.all(Array.from({ length: parallel }, () => makeNode()))
  const begin = performance.now()
  async function work (dialer) {
    let done = 0
    while (performance.now() - begin < seconds * 1000) {
      const connection = await dialer.dial(address)
      await dialer.services.ping.ping(connection.remotePeer)
      await connection.close()
      done += 1
    }
    return done
  }
  const done = await Promise.all(dialers.map(work))
  const figure = done.reduce((sum, one) => sum + one, 0) / ((performance.now() - begin) / 1000)
  await Promise.all(dialers.map(dialer => dialer.stop()))
  return figure
}

// Megabytes a second through one stream.
async function throughput (listener, address, size) {
  let counted = 0
  const finished = Promise.withResolvers()
  await listener.handle(SINK, stream => {
    stream.addEventListener('message', ({ data }) => {
      counted += data.byteLength
      if (counted >= size) {
        finished.resolve()
      }
    })
  })
  const dialer = await makeNode()
  const connection = await dialer.dial(address)
  const stream = await connection.newStream(SINK)
  const piece = randomBytes(PIECE_BYTES)
  const begin = performance.now()
  for (let sent = 0; sent < size; sent += PIECE_BYTES) {
    if (!stream.send(piece)) {
      await stream.onDrain()
    }
  }
  await finished.promise
  const figure = counted / 1e6 / ((performance.now() - begin) / 1000)
  await dialer.stop()
  return figure
}

const listener = await makeNode(['/ip4/127.0.0.1/tcp/0'])
const [address] = listener.getMultiaddrs()
await handshakes(address, 0.2, 1) // warm up
const figures = {
  handshakes_per_second: await handshakes(address, seconds, 1),
  handshakes_per_second_parallel: await handshakes(address, seconds, PARALLEL),
  megabytes_per_second: await throughput(listener, address, megabytes * 1e6)
}
await listener.stop()
console.log(JSON.stringify(Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, Number(figure.toFixed(1))]))))
process.exit(0)
