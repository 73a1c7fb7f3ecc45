// A js-libp2p node with @ipshipyard/libp2p-auto-tls, as that comes, that does what it is told (js/lines.mjs).

import { createHash } from 'node:crypto'
import { autoTLS } from '@ipshipyard/libp2p-auto-tls'
import { http } from '@libp2p/http'
import { identify } from '@libp2p/identify'
import { keychain } from '@libp2p/keychain'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { emit, serve } from '../js/lines.mjs'
import { useNameServer } from '../js/nameserver.mjs'

let node

const commands = {
  // listen, announce: multiaddrs; nameServer: "host:port", else the system's; domain, endpoint, directory: of the broker
  // and the CA
  async start ({ listen, announce, nameServer, domain, endpoint, directory, renewThreshold }) {
    if (nameServer != null) {
      useNameServer(nameServer)
    }
    node = await createLibp2p({
      addresses: { listen, appendAnnounce: announce },
      transports: [tcp(), webSockets()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      // else five a second from one address, and the broker's dial-backs are more
      connectionManager: { inboundConnectionThreshold: 1000 },
      connectionGater: { denyDialMultiaddr: () => false },
      services: {
        autoTLS: autoTLS({
          forgeDomain: domain,
          forgeEndpoint: endpoint,
          acmeDirectory: directory,
          provisionDelay: 100,
          autoConfirmAddress: true,
          ...(renewThreshold == null ? {} : { renewThreshold })
        }),
        http: http(),
        identify: identify(),
        keychain: keychain(),
        ping: ping()
      },
      start: false
    })
    for (const name of ['certificate:provision', 'certificate:renew']) {
      node.addEventListener(name, ({ detail }) => { emit({ event: name, certificate: detail.cert }) })
    }
    await node.start()
    return { peer: node.peerId.toString(), listening: node.getMultiaddrs().map(String) }
  },

  // So many registrations, one after the other, as the client makes them; how many the broker has taken.
  async register ({ count, address }) {
    let registered = 0
    const errors = []
    for (let number = 0; number < count; number++) {
      const value = createHash('sha256').update(String(number)).digest('base64url')
      try {
        const signal = AbortSignal.timeout(30_000)
        await node.services.autoTLS.configureAcmeChallengeResponse([multiaddr(address)], value, { signal })
        registered++
      } catch (error) {
        errors.push(String(error))
      }
    }
    return { registered, errors }
  },

  addresses () {
    return { addresses: node.getMultiaddrs().map(String) }
  },

  async dial ({ addr }) {
    const connection = await node.dial(multiaddr(addr), { signal: AbortSignal.timeout(20_000) })
    return { peer: connection.remotePeer.toString(), address: connection.remoteAddr.toString() }
  },

  async stop () {
    await node?.stop()
    setImmediate(() => process.exit(0))
  }
}

serve(commands)
