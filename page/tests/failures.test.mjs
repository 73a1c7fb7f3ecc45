import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CERTIFICATE, MULTIPLEXING, OPENING, SECURING, SERVER, connectionEnded, dialFailure, noAddress, stepOf, streamFailure } from '../source/failures.js'

function named (name, message = 'something') {
  return Object.assign(new Error(message), { name })
}

function kindOfDial (step, error) {
  return dialFailure({ step, error, place: 'a.test:1', seconds: 10, suspect: CERTIFICATE }).kind
}

function kindOfStream (error) {
  return streamFailure({ what: 'message', error, seconds: 10 }).kind
}

test('how far a dial got is known from what js-libp2p reports', () => {
  const told = ['websockets:open-connection', 'upgrader:encrypt-outbound-connection', 'upgrader:multiplex-outbound-connection', 'else']
  assert.deepEqual(told.map(stepOf), [OPENING, SECURING, MULTIPLEXING, null])
})

test('each way in which a dial fails has its own words', () => {
  const wrong = named('EncryptionFailedError', 'Payload identity key 1 does not match expected remote identity key 2')
  assert.equal(kindOfDial(OPENING, new Event('error')), 'secure')
  assert.equal(kindOfDial(OPENING, named('TimeoutError')), 'timeout')
  assert.equal(kindOfDial(SECURING, named('TimeoutError')), 'timeout')
  assert.equal(kindOfDial(SECURING, wrong), 'wrong-peer')
  assert.equal(kindOfDial(SECURING, named('EncryptionFailedError')), 'no-libp2p')
  assert.equal(kindOfDial(MULTIPLEXING, named('MuxerUnavailableError')), 'no-libp2p')
  assert.equal(kindOfDial(null, named('Whatever')), 'other')
})

test('a timeout says where it got stuck', () => {
  const [before, after] = [OPENING, SECURING].map(step =>
    dialFailure({ step, error: named('TimeoutError'), place: 'a.test:1', seconds: 10 }).text)
  assert.match(before, /a\.test:1 within 10 seconds.*Nothing at all/)
  assert.match(after, /secure WebSocket opened/)
})

test('where the browser opened nothing, what is most likely at fault is said', () => {
  const [certificate, server] = [CERTIFICATE, SERVER].map(suspect =>
    dialFailure({ step: OPENING, error: new Event('error'), place: 'a.test:1', seconds: 10, suspect }))
  assert.match(certificate.title, /TLS failed/)
  assert.match(certificate.text, /a\.test:1.*look at its certificate first\.$/)
  assert.doesNotMatch(server.title, /TLS/)
  assert.match(server.text, /its certificate is good/)
})

test('each way in which a stream fails has its own words', () => {
  assert.equal(kindOfStream(named('UnsupportedProtocolError')), 'no-protocol')
  assert.equal(kindOfStream(named('TimeoutError')), 'timeout')
  assert.equal(kindOfStream(named('AbortError')), 'timeout')
  assert.equal(kindOfStream(named('StreamResetError')), 'closed')
  assert.equal(kindOfStream(named('UnexpectedEOFError')), 'closed')
  assert.equal(kindOfStream(named('InvalidDataLengthError')), 'bad-answer')
  assert.equal(kindOfStream(named('BadAnswer')), 'bad-answer')
  assert.equal(kindOfStream(named('Whatever', '')), 'other')
})

test('every failure has a title and a sentence', () => {
  const long = dialFailure({ step: null, error: named('X', 'y'.repeat(5000)), place: 'a.test:1', seconds: 10 })
  for (const { title, text } of [noAddress(), connectionEnded(), connectionEnded('So it is.'), long]) {
    assert.ok(title.length > 5 && !title.endsWith('.'))
    assert.ok(text.endsWith('.') && text.length < 300)
  }
})
