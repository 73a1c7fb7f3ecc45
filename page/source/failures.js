// What went wrong, in words for a person. Pure.
//
// A failure is { kind, title, text }. Kinds: 'secure', 'timeout', 'wrong-peer', 'no-libp2p', 'no-protocol', 'closed',
// 'no-address', 'bad-answer', 'other'.

const WRONG_PEER = /does not match expected remote identity/ // js-libp2p keeps the message of Noise's error alone

// How far a dial got, as js-libp2p reports its progress.
export const OPENING = 'opening'
export const SECURING = 'securing'
export const MULTIPLEXING = 'multiplexing'

// What is most likely at fault where the browser does not tell: it says to a page only that it did not open the WebSocket.
// A peer that announces itself is alive; a server from which we have a page has a good certificate.
export const CERTIFICATE = 'certificate'
export const SERVER = 'server'

const NOT_SECURE = {
  [CERTIFICATE]: place => ({
    title: 'No secure connection: TLS failed',
    text: `The browser opened no secure WebSocket to ${place}: it does not trust the certificate there, or nothing ` +
      'listens on that port. Pages are not told which; the browser\'s console is. The peer itself is alive, for it ' +
      'announces itself: look at its certificate first.'
  }),
  [SERVER]: place => ({
    title: 'No secure connection',
    text: `The browser opened no secure WebSocket to ${place}. This page came from that server, so its certificate is ` +
      'good: it has stopped since, or a firewall is in between.'
  })
}

const STEPS = {
  'websockets:open-connection': OPENING,
  'upgrader:encrypt-outbound-connection': SECURING,
  'upgrader:multiplex-outbound-connection': MULTIPLEXING
}

export function stepOf (progress) {
  return STEPS[progress] ?? null
}

// step: how far it got; error: what js-libp2p threw; place: "name:port"; seconds: how long we waited at most;
// suspect: what is most likely at fault where the browser does not tell, CERTIFICATE or SERVER.
export function dialFailure ({ step, error, place, seconds, suspect }) {
  if (isTimeout(error)) {
    return timedOut(step, place, seconds)
  }
  if (step === OPENING) {
    return { kind: 'secure', ...NOT_SECURE[suspect](place) }
  }
  if (WRONG_PEER.test(error.message) && step === SECURING) {
    return {
      kind: 'wrong-peer',
      title: 'Another peer answers there',
      text: `${place} has a certificate that the browser trusts, but proved another peer ID than the one announced, so the page hung up.`
    }
  }
  if (step === SECURING || step === MULTIPLEXING) {
    return {
      kind: 'no-libp2p',
      title: 'No libp2p there',
      text: `${place} takes secure WebSockets, but does not speak libp2p as this page does (Noise and yamux): ${reason(error)}.`
    }
  }
  return other(`The dial to ${place} failed`, error)
}

export function noAddress () {
  return {
    kind: 'no-address',
    title: 'No address for browsers',
    text: 'None of its addresses is a secure WebSocket at a name, which is all that a page on HTTPS may open.'
  }
}

// what: "ping" or "message"; for a stream on an open connection.
export function streamFailure ({ what, error, seconds }) {
  if (isTimeout(error)) {
    return { kind: 'timeout', title: `No answer to the ${what}`, text: `The connection is open, but no answer came within ${seconds} seconds.` }
  }
  if (error.name === 'UnsupportedProtocolError') {
    return {
      kind: 'no-protocol',
      title: `Speaks no ${what} protocol`,
      text: `It is connected, and says that it does not speak the protocol of this page's ${what}. Not a fault: peers choose what they speak.`
    }
  }
  if (error.name === 'BadAnswer' || error.name.startsWith('InvalidDataLength') || error.name === 'InvalidMessageLengthError') {
    return { kind: 'bad-answer', title: `An answer to the ${what} that is none`, text: `It sent something else than the protocol says: ${reason(error)}.` }
  }
  if (CLOSED.has(error.name)) {
    return { kind: 'closed', title: 'The connection ended', text: `It ended while the page waited for the answer to its ${what}.` }
  }
  return other(`The ${what} failed`, error)
}

export function connectionEnded (cause) {
  const text = cause == null ? 'The peer, or the network between, closed it.' : cause
  return { kind: 'closed', title: 'The connection ended', text }
}

const CLOSED = new Set([
  'ConnectionClosedError', 'ConnectionClosingError', 'MuxerClosedError', 'StreamResetError', 'StreamAbortedError',
  'StreamStateError', 'UnexpectedEOFError'
])

function isTimeout (error) {
  return error.name === 'TimeoutError' || error.name === 'AbortError' || error.name === 'ConnectionFailedError'
}

function timedOut (step, place, seconds) {
  const how = step === OPENING || step == null
    ? 'Nothing at all came back: a firewall drops what we send, or no port is forwarded there.'
    : 'A secure WebSocket opened, but the libp2p handshake was not answered.'
  return { kind: 'timeout', title: 'Nobody answered in time', text: `No connection to ${place} within ${seconds} seconds. ${how}` }
}

function other (title, error) {
  return { kind: 'other', title, text: `${error.name ?? 'Error'}: ${reason(error)}.` }
}

function reason (error) {
  return String(error.message || error.name || 'no reason given').replace(/\.$/, '').slice(0, 200)
}
