// A js-libp2p node with @ipshipyard/libp2p-auto-tls, as that comes, that does what it is told (js/lines.mjs).

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
  // listen, announce: multiaddrs; nameServer: "host:port"; domain, endpoint, directory: of the broker and the CA
  async start ({ listen, announce, nameServer, domain, endpoint, directory, renewThreshold }) {
    useNameServer(nameServer)
    node = await createLibp2p({
      addresses: { listen, appendAnnounce: announce },
      transports: [tcp(), webSockets()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
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
