// The peers that the page shows: what it knows of each, and what it does next. Pure: the time comes in as an argument.
//
//   found ─▶ dialling ─▶ connected ─▶ failed ─▶ dialling …   (its next announcement brings the next dial, after a pause)
//              └──────────▶ failed
//   A peer that has been silent, and to which there is no connection, is gone.
//
// Anybody can announce any peer, for a forwarder announces the node behind it. Where a peer is, its own word says before
// another's; of others' words the first counts, until it is not renewed, or a dial to where it leads fails.

// nodetrust's clients announce themselves every five seconds unless they are told otherwise.
export const SILENT_MS = 16_000
export const FORGET_MS = 10 * 60_000
export const MAX_PEERS = 64
export const MAX_DIALS = 6 // at once
export const FIRST_PAUSE_MS = 2_000
export const LAST_PAUSE_MS = 60_000
export const HOPELESS = 3 // failures in a row, and a newcomer may take the place
export const HISTORY_MS = 5 * 60_000
export const PING_EVERY_MS = 2_000
export const COLOURS = 8

const MAX_ROUND_TRIPS = HISTORY_MS / PING_EVERY_MS

export class Peers {
  #peers = new Map() // by peer ID, in the order in which they were found
  #refusedAt = -Infinity // when there was no room for a peer

  get all () {
    return [...this.#peers.values()]
  }

  get (id) {
    return this.#peers.get(id)
  }

  // An announcement, signed by `author`. Returns true for a peer that is new or back; whether to dial it now is
  // `dueToDial`'s.
  heard (id, addresses, now, author = id) {
    const known = this.#peers.get(id)
    if (known != null && !countsFor(known, author, now)) {
      return false
    }
    if (known == null && !this.#makeRoom()) {
      this.#refusedAt = now
      return false
    }
    const peer = known ?? this.#add(id, now)
    const back = peer.phase === 'gone'
    Object.assign(peer, { addresses, author, lastHeard: now, announcements: peer.announcements + 1 })
    if (back) {
      Object.assign(peer, { phase: 'found', failure: null, failures: 0, failedAt: 0, retryAt: now })
    }
    return known == null || back
  }

  // Whether there are more peers than there is room for.
  isCrowded (now) {
    return now - this.#refusedAt < SILENT_MS
  }

  // Those to dial now, who have failed least first, then the oldest; they are 'dialling' from here on.
  dueToDial (now) {
    const room = MAX_DIALS - this.all.filter(({ phase }) => phase === 'dialling').length
    const due = this.all.filter(peer => isWaiting(peer) && peer.lastHeard >= peer.failedAt && now >= peer.retryAt)
    due.sort((a, b) => a.failures - b.failures)
    return due.slice(0, Math.max(0, room)).map(peer => Object.assign(peer, { phase: 'dialling', dialledAt: now, believed: peer.author }))
  }

  connected (id, address, now) {
    this.#change(id, { phase: 'connected', address, failure: null, failures: 0, wrong: null, openedAt: now, openedIn: now - this.get(id)?.dialledAt })
  }

  failed (id, failure, now) {
    const failures = (this.get(id)?.failures ?? 0) + 1
    const pause = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1))
    this.#change(id, { phase: 'failed', failure, failures, wrong: this.get(id)?.believed, failedAt: now, retryAt: now + pause, ping: null })
  }

  pinged (id, ms, now) {
    const peer = this.get(id)
    if (peer != null) {
      peer.roundTrips = [...peer.roundTrips, { at: now, ms }].slice(-MAX_ROUND_TRIPS)
      peer.ping = ms
      peer.pingFailure = null
    }
  }

  pingFailed (id, failure) {
    this.#change(id, { pingFailure: failure, ping: null })
  }

  said (id, text, now) {
    this.#change(id, { said: { text, at: now }, messageFailure: null })
  }

  messageFailed (id, failure) {
    this.#change(id, { messageFailure: failure })
  }

  // Let time pass. Returns the peers that are gone just now.
  tick (now) {
    const silent = this.all.filter(peer => isWaiting(peer) && !isAnnounced(peer, now))
    for (const peer of silent) {
      peer.phase = 'gone'
      peer.goneAt = now
    }
    for (const { id } of this.all.filter(({ phase, goneAt }) => phase === 'gone' && now - goneAt > FORGET_MS)) {
      this.#peers.delete(id)
    }
    return silent
  }

  // How many there are, now.
  counts (now) {
    const all = this.all
    return {
      here: all.filter(peer => peer.phase === 'connected' || isAnnounced(peer, now)).length,
      connected: all.filter(({ phase }) => phase === 'connected').length
    }
  }

  #add (id, now) {
    const peer = {
      id,
      phase: 'found',
      colour: this.#freeColour(),
      addresses: [],
      author: null, // who says that they are its
      believed: null, // who said so of those that were dialled
      wrong: null, // whose word led nowhere
      announcements: 0,
      firstHeard: now,
      lastHeard: now,
      failedAt: 0,
      retryAt: now,
      failures: 0,
      failure: null,
      address: null,
      ping: null,
      pingFailure: null,
      roundTrips: [],
      said: null,
      messageFailure: null
    }
    this.#peers.set(id, peer)
    return peer
  }

  #change (id, changes) {
    const peer = this.get(id)
    if (peer != null) {
      Object.assign(peer, changes)
    }
  }

  // The longest gone makes room for a newcomer, or else who has failed most.
  #makeRoom () {
    if (this.#peers.size < MAX_PEERS) {
      return true
    }
    const [oldest] = this.all.filter(({ phase }) => phase === 'gone').sort((a, b) => a.goneAt - b.goneAt)
    const [hopeless] = this.all
      .filter(({ phase, failures }) => phase === 'failed' && failures >= HOPELESS)
      .sort((a, b) => b.failures - a.failures)
    const leaving = oldest ?? hopeless
    return leaving != null && this.#peers.delete(leaving.id)
  }

  // The colour that fewest have.
  #freeColour () {
    const uses = new Array(COLOURS).fill(0)
    for (const { colour } of this.all) {
      uses[colour]++
    }
    return uses.indexOf(Math.min(...uses))
  }
}

export function isAnnounced (peer, now) {
  return now - peer.lastHeard < SILENT_MS
}

function countsFor (peer, author, now) {
  return author === peer.id || author === peer.author || peer.author === peer.wrong || !isAnnounced(peer, now)
}

function isWaiting ({ phase }) {
  return phase === 'found' || phase === 'failed'
}

export function median (numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) {
    return null
  }
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
