// Makes every name that this process looks up be asked of one DNS server, over real DNS.

import dns from 'node:dns'
import { isIP } from 'node:net'

async function resolve (resolver, name, family) {
  const wanted = family === 6 ? [6] : family === 4 ? [4] : [4, 6]
  const found = []
  let failure
  for (const version of wanted) {
    try {
      const addresses = version === 4 ? await resolver.resolve4(name) : await resolver.resolve6(name)
      found.push(...addresses.map(address => ({ address, family: version })))
    } catch (error) {
      failure = error
    }
  }
  if (found.length === 0) {
    throw failure
  }
  return found
}

// `server` is "host:port". Node looks up `dns.lookup` anew at each connect, so that replacing it here reaches
// net, tls, http and the WebSocket that is built in.
export function useNameServer (server) {
  const resolver = new dns.promises.Resolver({ timeout: 2000, tries: 2 })
  resolver.setServers([server])
  dns.lookup = (name, options, callback) => {
    if (typeof options === 'function') {
      [options, callback] = [{}, options]
    }
    const { family = 0, all = false } = typeof options === 'number' ? { family: options } : (options ?? {})
    const literal = isIP(name)
    const addresses = literal > 0
      ? Promise.resolve([{ address: name, family: literal }])
      : resolve(resolver, name, family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family)
    addresses.then(
      found => all ? callback(null, found) : callback(null, found[0].address, found[0].family),
      error => callback(error)
    )
  }
}
