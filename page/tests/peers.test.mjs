import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COLOURS, FIRST_PAUSE_MS, FORGET_MS, HOPELESS, LAST_PAUSE_MS, MAX_DIALS, MAX_PEERS, Peers, SILENT_MS, median } from '../source/peers.js'

const FAILURE = { kind: 'secure', title: 'No', text: 'Not at all.' }

function ids (peers) {
  return peers.map(({ id }) => id)
}

function withPeer () {
  const peers = new Peers()
  peers.heard('a', ['x'], 0)
  return peers
}

test('a peer that announces itself is found once, and dialled', () => {
  const peers = new Peers()
  assert.equal(peers.heard('a', ['x'], 0), true)
  assert.equal(peers.heard('a', ['y'], 1), false)
  assert.deepEqual(ids(peers.dueToDial(1)), ['a'])
  assert.deepEqual(peers.dueToDial(1), [])
  assert.deepEqual([peers.get('a').phase, peers.get('a').addresses, peers.get('a').announcements], ['dialling', ['y'], 2])
})

test('so many are dialled at once, and the rest after them', () => {
  const peers = new Peers()
  for (let n = 0; n < MAX_DIALS + 2; n++) {
    peers.heard(`${n}`, [], 0)
  }
  assert.equal(peers.dueToDial(0).length, MAX_DIALS)
  peers.connected('0', 'x', 5)
  assert.deepEqual(ids(peers.dueToDial(5)), [`${MAX_DIALS}`])
  assert.equal(peers.get('0').openedIn, 5)
})

test('after a failure there is a pause, which doubles, and ends with a success', () => {
  const peers = withPeer()
  let now = 0
  for (let tries = 0; tries < 8; tries++) {
    const pause = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries)
    peers.heard('a', ['x'], now)
    assert.deepEqual(ids(peers.dueToDial(now)), ['a'])
    peers.failed('a', FAILURE, now)
    assert.equal(peers.get('a').failure, FAILURE)
    now += pause
    peers.heard('a', ['x'], now - 1)
    assert.deepEqual(peers.dueToDial(now - 1), [])
  }
  peers.dueToDial(now)
  peers.connected('a', 'x', now)
  assert.deepEqual([peers.get('a').failure, peers.get('a').failures], [null, 0])
})

test('who has said nothing since it failed is not dialled again', () => {
  const peers = withPeer()
  peers.dueToDial(0)
  peers.connected('a', 'x', 0)
  peers.failed('a', FAILURE, 1)
  assert.deepEqual(peers.dueToDial(1 + FIRST_PAUSE_MS), [])
  peers.heard('a', ['x'], 2 + FIRST_PAUSE_MS)
  assert.deepEqual(ids(peers.dueToDial(2 + FIRST_PAUSE_MS)), ['a'])
})

test('a silent peer is gone, unless there is a connection to it, and is not dialled', () => {
  const peers = withPeer()
  peers.heard('b', ['x'], 0)
  peers.dueToDial(0)
  peers.connected('b', 'x', 0)
  peers.failed('a', FAILURE, 0)
  assert.deepEqual(ids(peers.tick(SILENT_MS)), ['a'])
  assert.deepEqual(peers.tick(SILENT_MS), [])
  assert.deepEqual(peers.dueToDial(SILENT_MS), [])
  assert.deepEqual(peers.counts(SILENT_MS), { here: 1, connected: 1 })
})

test('a peer that is back is found anew', () => {
  const peers = withPeer()
  peers.failed('a', FAILURE, 0)
  peers.tick(SILENT_MS)
  assert.equal(peers.heard('a', ['x'], SILENT_MS + 1), true)
  assert.deepEqual([peers.get('a').phase, peers.get('a').failure], ['found', null])
  assert.deepEqual(ids(peers.dueToDial(SILENT_MS + 1)), ['a'])
})

test('who is gone is forgotten after a while, and what comes late of it is passed over', () => {
  const peers = withPeer()
  peers.tick(SILENT_MS)
  peers.tick(SILENT_MS + FORGET_MS + 1)
  assert.deepEqual(peers.all, [])
  peers.connected('a', 'x', 1)
  peers.failed('a', FAILURE, 1)
  peers.pinged('a', 1, 1)
  peers.said('a', 'hello', 1)
  assert.deepEqual(peers.all, [])
})

test('there is room for so many; the longest gone makes room for a newcomer', () => {
  const peers = new Peers()
  for (let n = 0; n < MAX_PEERS; n++) {
    peers.heard(`${n}`, [], n < 2 ? n : SILENT_MS)
  }
  assert.equal(peers.heard('new', [], SILENT_MS), false)
  assert.equal(peers.isCrowded(2 * SILENT_MS - 1), true)
  assert.equal(peers.isCrowded(2 * SILENT_MS), false)
  peers.tick(SILENT_MS)
  peers.tick(SILENT_MS + 1)
  assert.equal(peers.heard('new', [], SILENT_MS), true)
  assert.equal(peers.get('0'), undefined)
  assert.equal(peers.all.length, MAX_PEERS)
})

test('where nobody is gone, who has failed most makes room, but not who has only begun to', () => {
  const peers = new Peers()
  for (let n = 0; n < MAX_PEERS; n++) {
    peers.heard(`${n}`, [], 0)
  }
  const fail = (id, times) => { for (let n = 0; n < times; n++) { peers.failed(id, FAILURE, 0) } }
  fail('0', HOPELESS - 1)
  assert.equal(peers.heard('new', [], 0), false)
  fail('1', HOPELESS)
  fail('2', HOPELESS + 1)
  assert.equal(peers.heard('new', [], 0), true)
  assert.equal(peers.get('2'), undefined)
})

test('who has failed is dialled after who has not', () => {
  const peers = new Peers()
  for (let n = 0; n < 2 * MAX_DIALS; n++) {
    peers.heard(`${n}`, [], 0)
  }
  for (const { id } of peers.dueToDial(0)) {
    peers.failed(id, FAILURE, 0)
  }
  const later = FIRST_PAUSE_MS
  for (let n = 0; n < 2 * MAX_DIALS; n++) {
    peers.heard(`${n}`, [], later)
  }
  assert.deepEqual(ids(peers.dueToDial(later)), Array.from({ length: MAX_DIALS }, (_, n) => `${MAX_DIALS + n}`))
})

test('where a peer is, it says itself, whatever others say', () => {
  const peers = new Peers()
  assert.equal(peers.heard('a', ['false'], 0, 'liar'), true)
  assert.equal(peers.heard('a', ['true'], 1), false)
  peers.heard('a', ['false'], 2, 'liar')
  assert.deepEqual([peers.get('a').addresses, peers.get('a').announcements], [['true'], 2])
})

test('of others, the first counts until it is silent, or its word leads nowhere', () => {
  const peers = new Peers()
  peers.heard('a', ['x'], 0, 'one')
  peers.heard('a', ['y'], 1, 'two')
  assert.deepEqual(peers.get('a').addresses, ['x'])
  peers.dueToDial(1)
  peers.failed('a', FAILURE, 1)
  peers.heard('a', ['y'], 2, 'two')
  peers.heard('a', ['x'], 3, 'one')
  assert.deepEqual(peers.get('a').addresses, ['y'])
  peers.heard('a', ['x'], 2 + SILENT_MS, 'one')
  assert.deepEqual(peers.get('a').addresses, ['x'])
})

test('a failure is held against whose word was dialled, not whose has come since', () => {
  const peers = new Peers()
  peers.heard('a', ['x'], 0, 'one')
  peers.dueToDial(0)
  peers.heard('a', ['y'], 1)
  peers.failed('a', FAILURE, 2)
  peers.heard('a', ['x'], 3, 'one')
  assert.deepEqual(peers.get('a').addresses, ['y'])
})

test('round trips are kept for as long as the plot is', () => {
  const peers = withPeer()
  for (let n = 0; n < 1000; n++) {
    peers.pinged('a', n, n)
  }
  assert.equal(peers.get('a').roundTrips.length, 150)
  assert.deepEqual(peers.get('a').roundTrips.at(-1), { at: 999, ms: 999 })
  peers.pingFailed('a', FAILURE)
  assert.deepEqual([peers.get('a').ping, peers.get('a').pingFailure], [null, FAILURE])
})

test('a message takes the place of its failure, and the other way round leaves the message', () => {
  const peers = withPeer()
  peers.messageFailed('a', FAILURE)
  peers.said('a', 'hello', 1)
  assert.deepEqual([peers.get('a').said, peers.get('a').messageFailure], [{ text: 'hello', at: 1 }, null])
})

test('colours are given out evenly', () => {
  const peers = new Peers()
  for (let n = 0; n < 2 * COLOURS; n++) {
    peers.heard(`${n}`, [], 0)
  }
  for (let colour = 0; colour < COLOURS; colour++) {
    assert.equal(peers.all.filter(peer => peer.colour === colour).length, 2)
  }
})

test('the median is in the middle', () => {
  assert.deepEqual([median([]), median([3]), median([9, 1, 5]), median([1, 2, 10, 3])], [null, 3, 5, 2.5])
})
