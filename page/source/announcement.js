// The announcement of a peer (message Announce of proto/nodetrust.proto): bytes → who is where. Pure.

import { peerIdFromMultihash, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import * as Digest from 'multiformats/hashes/digest'

// As nodetrust/discovery/announcement.py and nodetrust/messages have them.
export const MAX_BYTES = 16 * 1024
export const MAX_ADDRESSES = 16
export const MAX_ADDRESS_BYTES = 1024 // nodetrust/libp2p/multiaddr.py

const ADDR = 1
const PEER = 2
const LENGTH_DELIMITED = 2
const OTHER_BYTES = { 1: 8, 5: 4 } // of the wire types with a fixed size

const NAMED = ['dns', 'dns4', 'dns6', 'dnsaddr', 'sni']
const NAME = /^(?=.{1,253}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i // else it would be more of a URL than its host

export class InvalidAnnouncement extends Error {
  name = 'InvalidAnnouncement'
}

// payload: Uint8Array; author: the PeerId that signed the message.
// Returns { peer, addresses }: a PeerId and Multiaddrs, each of which ends in that peer's /p2p. Throws InvalidAnnouncement.
export function decodeAnnouncement (payload, author) {
  if (payload.byteLength > MAX_BYTES) {
    throw new InvalidAnnouncement('it is too large')
  }
  const { addr, peer: behind } = readFields(payload)
  if (addr.length > MAX_ADDRESSES) {
    throw new InvalidAnnouncement('it has too many addresses')
  }
  const peer = behind == null ? author : readPeer(behind)
  const addresses = addr.map(readAddress).filter(read => read != null)
  if (addresses.length === 0) {
    throw new InvalidAnnouncement('it has no address that can be read')
  }
  return { peer, addresses: addresses.map(read => withPeer(read, peer)) }
}

// Those that a browser can dial from an HTTPS page: a name, a TCP port, TLS and WebSocket.
export function dialable (addresses) {
  return addresses.filter(address => {
    const [host, port, ...rest] = address.getComponents().map(({ name }) => name)
    const secure = rest[0] === 'wss' || (rest[0] === 'tls' && rest[1] === 'ws')
    return ['dns', 'dns4', 'dns6'].includes(host) && port === 'tcp' && secure && !rest.includes('p2p-circuit')
  })
}

// "name:port", for people.
export function placeOf (address) {
  const [host, port] = address.getComponents()
  return `${host.value}:${port.value}`
}

function readFields (payload) {
  const found = { addr: [], peer: null }
  const reader = { payload, at: 0 }
  while (reader.at < payload.byteLength) {
    const tag = readVarint(reader)
    const [field, wireType] = [Math.floor(tag / 8), tag % 8]
    if (wireType === LENGTH_DELIMITED) {
      const value = take(reader, readVarint(reader))
      if (field === ADDR) {
        found.addr.push(value)
      } else if (field === PEER) {
        found.peer = value
      }
    } else if (wireType === 0) {
      readVarint(reader)
    } else if (wireType in OTHER_BYTES) {
      take(reader, OTHER_BYTES[wireType])
    } else {
      throw new InvalidAnnouncement('it does not parse')
    }
    if (field === 0) {
      throw new InvalidAnnouncement('it does not parse')
    }
  }
  return found
}

function readVarint (reader) {
  let value = 0
  for (let shift = 0; shift < 10; shift++) {
    const [byte] = take(reader, 1)
    value += (byte & 0x7f) * 2 ** (7 * shift)
    if (byte < 0x80) {
      return value
    }
  }
  throw new InvalidAnnouncement('it does not parse')
}

function take (reader, length) {
  if (reader.at + length > reader.payload.byteLength) {
    throw new InvalidAnnouncement('it is cut off')
  }
  reader.at += length
  return reader.payload.subarray(reader.at - length, reader.at)
}

function readPeer (multihash) {
  try {
    return peerIdFromMultihash(Digest.decode(multihash))
  } catch {
    throw new InvalidAnnouncement('the peer that it names cannot be read')
  }
}

// null for an address of a kind that we do not know, for a newer peer may announce it beside others, and for none at all.
function readAddress (bytes) {
  if (bytes.byteLength > MAX_ADDRESS_BYTES) {
    return null
  }
  try {
    const address = multiaddr(bytes)
    const components = address.getComponents()
    if (components.some(({ name, value }) => NAMED.includes(name) && !NAME.test(value))) {
      return null
    }
    const named = components.findLast(({ name }) => name === 'p2p')?.value
    return { address, named: named == null ? null : peerIdFromString(named) }
  } catch {
    return null
  }
}

function withPeer ({ address, named }, peer) {
  if (named == null) {
    return address.encapsulate(`/p2p/${peer}`)
  }
  if (!named.equals(peer)) {
    throw new InvalidAnnouncement('it names another peer than its author')
  }
  return address
}
