"""How much a source may ask over UDP, where a source address may be forged: not an amplifier, and hard to drown.

Response rate limiting by prefix, as Knot DNS does it (mod-rrl), and DNS cookies, by which a client shows that its
address is its own. RFC 7873, RFC 9018, https://www.knot-dns.cz/docs/latest/html/modules.html#rrl-response-rate-limiting

In reading order:

* `sources`: addresses as octets (pure)
* `rates`: the ladder of prefixes, and the decision: answer, answer briefly, say "over TCP", or say nothing (pure)
* `cookies`: the server's half of a DNS cookie, made and checked (pure)
* `gate`: both, in front of one query
* `build`: from the settings to a gate, and the file with the root of the cookies' secrets
"""
