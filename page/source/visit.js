// What the page does with a peer: dial it, ping it, exchange a message. Each throws a Failed, which says in words what failed.

import { byteStream, lpStream } from '@libp2p/utils'
import { dialable, placeOf } from './announcement.js'
import { dialFailure, noAddress, stepOf, streamFailure } from './failures.js'
import { DIAL_SECONDS } from './node.js'
import { spoken } from './words.js'

export const HELLO = '/p2p/nodetrust/demo/hello/1.0.0' // as nodetrust/command/hello.py has it
export const MAX_HELLO_BYTES = 1024

const PING = '/ipfs/ping/1.0.0'
const PING_BYTES = 32
const MAX_ADDRESSES = 4 // of one peer
const ANSWER_SECONDS = 10

export class Failed extends Error {
  name = 'Failed'

  constructor (failure) {
    super(failure.title)
    this.failure = failure
  }
}

class BadAnswer extends Error {
  name = 'BadAnswer'
}

// A connection over the first of the addresses that works, or one that is there already, and the address at which it is;
// suspect: see dialFailure.
export async function dial (node, addresses, suspect) {
  let failure = noAddress()
  for (const address of dialable(addresses).slice(0, MAX_ADDRESSES)) {
    let step = null
    const onProgress = ({ type }) => { step = stepOf(type) ?? step }
    try {
      const connection = await node.dial(address, { signal: AbortSignal.timeout(DIAL_SECONDS * 1000), onProgress })
      return { connection, address: connection.remoteAddr }
    } catch (error) {
      failure = dialFailure({ step, error, place: placeOf(address), seconds: DIAL_SECONDS, suspect })
    }
  }
  throw new Failed(failure)
}

// The round trip in milliseconds of 32 bytes on a stream that is open already.
export async function ping (connection) {
  return await onStream(connection, PING, 'ping', async (stream, signal) => {
    const bytes = byteStream(stream)
    const sent = crypto.getRandomValues(new Uint8Array(PING_BYTES))
    const started = performance.now()
    await bytes.write(sent, { signal })
    const received = (await bytes.read({ bytes: PING_BYTES, signal })).subarray()
    const ms = performance.now() - started
    if (sent.some((byte, n) => byte !== received[n])) {
      throw new BadAnswer('other bytes came back than were sent')
    }
    return ms
  })
}

// What the peer answers to our greeting.
export async function sayHello (connection, text) {
  return await onStream(connection, HELLO, 'message', async (stream, signal) => {
    const messages = lpStream(stream, { maxDataLength: MAX_HELLO_BYTES })
    await messages.write(new TextEncoder().encode(text), { signal })
    const answer = (await messages.read({ signal })).subarray()
    try {
      return spoken(new TextDecoder('utf-8', { fatal: true }).decode(answer))
    } catch {
      throw new BadAnswer('the message is no text')
    }
  })
}

async function onStream (connection, protocol, what, talk) {
  const signal = AbortSignal.timeout(ANSWER_SECONDS * 1000)
  try {
    const stream = await connection.newStream(protocol, { signal })
    try {
      const result = await talk(stream, signal)
      stream.close({ signal }).catch(error => stream.abort(error))
      return result
    } catch (error) {
      stream.abort(error)
      throw error
    }
  } catch (error) {
    throw new Failed(streamFailure({ what, error, seconds: ANSWER_SECONDS }))
  }
}
