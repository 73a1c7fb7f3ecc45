import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { InvalidAnnouncement, MAX_ADDRESSES, MAX_ADDRESS_BYTES, MAX_BYTES, decodeAnnouncement, dialable, placeOf } from '../source/announcement.js'

const AUTHOR = peerIdFromString('12D3KooWAZSDTRjmmECLXPMPQFkTuayDVmYdy2XQLjYfLvbo1FiF')
const OTHER = peerIdFromString('12D3KooWCtPi3JpaNQgb6KLrLcWibeXwuGrw1JgfCeBs5bKpCDuY')
const WSS = '/dns4/ip4192-0-2-7.nt.test/tcp/4443/tls/ws'

function field (number, bytes) {
  const length = bytes.length < 128 ? [bytes.length] : [0x80 | (bytes.length & 0x7f), bytes.length >> 7]
  return [number << 3 | 2, ...length, ...bytes]
}

// Of an address with a name that no text of an address could have.
function bytes (before, name, ...after) {
  const text = new TextEncoder().encode(name)
  return [...before, ...field(0, text).slice(1), ...after]
}

function address (text) {
  return field(1, multiaddr(text).bytes)
}

function decode (...bytes) {
  return decodeAnnouncement(Uint8Array.from(bytes), AUTHOR)
}

function said ({ peer, addresses }) {
  return [peer.toString(), ...addresses.map(String)]
}

test('an announcement says where its author is', () => {
  assert.deepEqual(said(decode(...address(`${WSS}/p2p/${AUTHOR}`))), [`${AUTHOR}`, `${WSS}/p2p/${AUTHOR}`])
})

test('an address without a peer ID is the author\'s', () => {
  assert.deepEqual(said(decode(...address(WSS))), [`${AUTHOR}`, `${WSS}/p2p/${AUTHOR}`])
})

test('an announcement may name a peer behind its author', () => {
  const found = decode(...address(WSS), ...field(2, OTHER.toMultihash().bytes))
  assert.deepEqual(said(found), [`${OTHER}`, `${WSS}/p2p/${OTHER}`])
})

test('what newer peers add is passed over', () => {
  const newer = [...field(9, [1, 2, 3]), 10 << 3, 0xac, 0x02, 11 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8, 12 << 3 | 5, 1, 2, 3, 4]
  const unknown = field(1, [0xff, 0xff, 0x7f, 1])
  assert.deepEqual(said(decode(...newer, ...unknown, ...address(WSS))), [`${AUTHOR}`, `${WSS}/p2p/${AUTHOR}`])
})

test('an address is passed over where its name is none, or it is very long', () => {
  const names = [
    '<img src=x onerror=alert(1)>.test', 'nt.test/path?', 'user:password@nt.test', 'nt.test:99', '[::1]', 'safe\u202etset.tn',
    'two\nlines.test', ' ', '..', '%2e.test', 'a'.repeat(254), 'a.'.repeat(MAX_ADDRESS_BYTES / 2)
  ]
  for (const name of names) {
    const named = bytes([54], name, 6, 0x11, 0x5b, 0xc0, 3, 0xdd, 3)
    const sni = bytes([6, 0x11, 0x5b, 0xc0, 3, 0xc1, 3], name, 0xdd, 3)
    assert.deepEqual(said(decode(...field(1, named), ...field(1, sni), ...address(WSS))), [`${AUTHOR}`, `${WSS}/p2p/${AUTHOR}`])
  }
  for (const name of ['localhost', '_a.x-1.test.', `${'a'.repeat(63)}.test`]) {
    assert.equal(decode(...address(`/dns4/${name}/tcp/1/wss`)).addresses.length, 1)
  }
})

test('every other announcement is refused', () => {
  const whole = address(WSS)
  const wrong = [
    [],
    whole.slice(0, -1),
    [1 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [1 << 3 | 3],
    [2, 0, ...whole],
    field(1, [0xff, 0xff, 0x7f]),
    address(`${WSS}/p2p/${OTHER}`),
    [...whole, ...field(2, [1, 2, 3])],
    Array.from({ length: MAX_ADDRESSES + 1 }, () => whole).flat(),
    field(9, new Array(MAX_BYTES).fill(0))
  ]
  for (const bytes of wrong) {
    assert.throws(() => decode(...bytes), InvalidAnnouncement, JSON.stringify(bytes).slice(0, 80))
  }
})

test('garbage is refused, and nothing else is thrown', () => {
  let state = 1
  const random = () => (state = state * 48271 % 0x7fffffff)
  for (let round = 0; round < 2000; round++) {
    const bytes = address(`${WSS}/p2p/${AUTHOR}`)
    for (let flip = random() % 4; flip >= 0; flip--) {
      bytes[random() % bytes.length] = random() & 0xff
    }
    try {
      decode(...bytes)
    } catch (error) {
      assert.ok(error instanceof InvalidAnnouncement, `${error.stack}`)
    }
  }
})

test('browsers dial secure WebSockets at names alone', () => {
  const good = ['/dns4/a.test/tcp/1/tls/ws', '/dns6/a.test/tcp/1/wss', '/dns/a.test/tcp/1/tls/ws/p2p/' + AUTHOR]
  const bad = ['/ip4/192.0.2.7/tcp/1', '/dns4/a.test/tcp/1/ws', '/ip4/192.0.2.7/tcp/1/tls/ws', '/dnsaddr/a.test',
    `/dns4/a.test/tcp/1/tls/ws/p2p/${OTHER}/p2p-circuit/p2p/${AUTHOR}`]
  assert.deepEqual(dialable([...good, ...bad].map(text => multiaddr(text))).map(String), good)
  assert.equal(placeOf(multiaddr(good[0])), 'a.test:1')
})
