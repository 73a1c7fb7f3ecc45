// A client as of 2018 on the js-libp2p of today: an RSA identity, RSA certificates only, no CSR, and on the proof protocol it
// sends nothing. It decodes each proof and encodes it again into its request, as the clients of 2018 did.
//
//   node client2018.mjs ISSUER-MULTIADDR [NAME-SERVER]
//
// One line of JSON on standard output: the answer of the issue server with bytes as text, and what led to it.

import { readFileSync } from 'node:fs'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import * as Digest from 'multiformats/hashes/digest'
import protobuf from 'protobufjs'
import { useNameServer } from './nameserver.mjs'

const messages = protobuf.parse(readFileSync(new URL('messages2018.proto', import.meta.url), 'utf8'), { keepCase: true }).root

const ISSUE_INFO = '/p2p/nodetrust/issue/info/1.0.0'
const PROOF = '/p2p/nodetrust/proof/1.0.0'
const ISSUE = '/p2p/nodetrust/issue/1.0.0'

const ANSWER_MS = 10_000
const ISSUE_MS = 60_000 // the CA takes its time

// Both throw where a required field is missing.
function decode (name, bytes) {
  return messages.lookupType(name).decode(bytes)
}

function encode (name, value) {
  const type = messages.lookupType(name)
  const wrong = type.verify(value)
  if (wrong != null) {
    throw new Error(`${name}: ${wrong}`)
  }
  return type.encode(value).finish()
}

function errorName (number) {
  return messages.lookupEnum('Error').valuesById[number]
}

// Reads one message on a new stream, after having sent `request` if there is one.
async function ask (connection, protocol, answer, request, ms = ANSWER_MS) {
  const signal = AbortSignal.timeout(ms)
  const stream = await connection.newStream(protocol, { signal })
  const framed = lpStream(stream)
  if (request != null) {
    await framed.write(request, { signal })
  }
  const received = decode(answer, (await framed.read({ signal })).subarray())
  await stream.close({ signal })
  return received
}

async function prove (node, server) {
  const id = peerIdFromMultihash(Digest.decode(server.id))
  const addresses = server.addrs.map(bytes => multiaddr(bytes)).map(address =>
    address.toString().includes('/p2p/') ? address : address.encapsulate(`/p2p/${id}`))
  const connection = await node.dial(addresses, { signal: AbortSignal.timeout(ANSWER_MS) })
  const { error, proof } = await ask(connection, PROOF, 'ProofResponse')
  if (error !== 0) {
    throw new Error(`${server.display}: ${errorName(error)}`)
  }
  return proof
}

function text (bytes) {
  return bytes == null || bytes.length === 0 ? null : Buffer.from(bytes).toString('utf8')
}

async function obtain (node, issuer) {
  const connection = await node.dial(multiaddr(issuer), { signal: AbortSignal.timeout(ANSWER_MS) })
  const info = await ask(connection, ISSUE_INFO, 'IssueInfo')
  const results = await Promise.allSettled(info.proofs.map(server => prove(node, server)))
  const proofs = results.filter(({ status }) => status === 'fulfilled').map(({ value }) => value)
  const request = encode('IssueRequest', { proofs, supportedCryptos: [messages.lookupEnum('Crypto').values.RSA] })
  const answer = await ask(connection, ISSUE, 'IssueResponse', request, ISSUE_MS)
  return {
    peer: node.peerId.toString(),
    domain: info.domain,
    proofServers: info.proofs.length,
    proofs: proofs.map(({ proof }) => ({ timestamp: Number(proof.timestamp), addresses: proof.addrs.map(a => a.address) })),
    proofErrors: results.filter(({ status }) => status === 'rejected').map(({ reason }) => String(reason)),
    error: errorName(answer.error),
    cert: text(answer.cert),
    chain: text(answer.chain),
    ca: text(answer.ca),
    key: text(answer.key),
    cn: answer.cn,
    altnames: answer.altnames,
    validity: Number(answer.validity),
    fromCache: answer.fromCache,
    cryptoType: Object.hasOwn(answer, 'cryptoType') ? answer.cryptoType : null
  }
}

const [issuer, nameServer] = process.argv.slice(2)
if (nameServer != null) {
  useNameServer(nameServer)
}
const node = await createLibp2p({
  privateKey: await generateKeyPair('RSA', 2048),
  transports: [tcp(), webSockets()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() }
})
console.log(JSON.stringify(await obtain(node, issuer)))
await node.stop()
