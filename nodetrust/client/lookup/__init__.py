"""Questions that a peer asks of a certain DNS server: what `getaddrinfo` tells nobody, such as TTLs, SOA and CAA.

https://www.rfc-editor.org/rfc/rfc1035. In reading order:

* `errors`: a question that got no answer
* `wire`: questions and replies, in values and bytes (pure)
* `transport`: one question to one server, over UDP or TCP
* `resolver`: the resolvers of this machine, asked in turn
"""
