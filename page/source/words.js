// Values as text for people. Pure.

const ISOLATES = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

// A peer ID that fits into a line: those of Ed25519 keys begin alike.
export function shortId (id) {
  return id.length > 14 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id
}

export function milliseconds (ms) {
  if (ms == null) {
    return '–'
  }
  if (ms >= 999.5) {
    return `${(ms / 1000).toFixed(1)} s`
  }
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

export function ago (ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 2) {
    return 'just now'
  }
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`
}

export function inSeconds (ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  return seconds === 0 ? 'now' : `in ${seconds} s`
}

export function count (number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`
}

export function clock (date) {
  return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
}

// What a peer said, without what would move the text around it.
export function spoken (text) {
  return text.replace(ISOLATES, '').trim()
}
