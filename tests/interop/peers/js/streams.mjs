// The two protocols that every test peer serves, and their dialling side. They are the same in the Go peer and in the tests.
//
//   echo    sends back what it gets, as it gets it, and half-closes when the other side has
//   digest  reads until the other side half-closes, then answers the SHA-256 of what it read in hexadecimal, and closes

import { createHash } from 'node:crypto'

export const ECHO = '/nodetrust-test/echo/1.0.0'
export const DIGEST = '/nodetrust-test/digest/1.0.0'

const CHUNK_BYTES = 65536

// The byte at offset n is n * 7 + (n >> 8), so that a lost, doubled or swapped piece shows.
export function pattern (length) {
  return Buffer.from(Uint8Array.from({ length }, (_, n) => (n * 7 + (n >> 8)) & 0xff))
}

async function sendAll (stream, data) {
  for (let start = 0; start < data.length; start += CHUNK_BYTES) {
    if (!stream.send(data.subarray(start, start + CHUNK_BYTES))) {
      await stream.onDrain()
    }
  }
  await stream.close()
}

async function receiveAll (stream) {
  const hash = createHash('sha256')
  let bytes = 0
  const pieces = []
  for await (const piece of stream) {
    hash.update(piece.subarray())
    bytes += piece.byteLength
    if (bytes <= 128) {
      pieces.push(piece.subarray())
    }
  }
  return { bytes, digest: hash.digest('hex'), head: Buffer.concat(pieces).toString('latin1') }
}

async function serveEcho (stream) {
  for await (const piece of stream) {
    if (!stream.send(piece)) {
      await stream.onDrain()
    }
  }
  await stream.close()
}

async function serveDigest (stream) {
  const { digest } = await receiveAll(stream)
  stream.send(Buffer.from(digest, 'latin1'))
  await stream.close()
}

export async function handleStreams (node) {
  const limits = { maxInboundStreams: 1024, maxOutboundStreams: 1024 }
  await node.handle(ECHO, stream => serveEcho(stream).catch(error => stream.abort(error)), limits)
  await node.handle(DIGEST, stream => serveDigest(stream).catch(error => stream.abort(error)), limits)
}

// Sends `bytes` bytes and reads what comes back at the same time.
export async function echo (connection, bytes) {
  const stream = await connection.newStream(ECHO)
  const data = pattern(bytes)
  const started = performance.now()
  const [received] = await Promise.all([receiveAll(stream), sendAll(stream, data)])
  const seconds = (performance.now() - started) / 1000
  const same = received.digest === createHash('sha256').update(data).digest('hex')
  return { bytes: received.bytes, same, seconds }
}

// Sends `bytes` bytes, half-closes, and only then reads the answer.
export async function digest (connection, bytes) {
  const stream = await connection.newStream(DIGEST)
  const data = pattern(bytes)
  await sendAll(stream, data)
  const { head } = await receiveAll(stream)
  return { answer: head, same: head === createHash('sha256').update(data).digest('hex') }
}
