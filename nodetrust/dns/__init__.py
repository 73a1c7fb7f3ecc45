"""The DNS server: authoritative for one zone, over UDP and TCP.

Names that spell an address or a peer ID, ACME challenges that the issue server sets, and the operator's zone file. One
pure function, `answer.answer`, decides every answer. RFC 1034, 1035, 2181, 2308, 4343, 4592, 4892, 5001, 6891, 7766,
7873, 8020, 8482, 9018, 9471.

In reading order:

* `records`: names, types and record sets, ready for the wire (pure)
* `labels`: labels as octets, read by the rules of `nodetrust.names` (pure)
* `wire`: the strict reader of queries, the writer of responses (pure)
* `zone/`: the operator's records; how their file is read, checked, written, and read again
* `challenges/`: which challenges may be set, the table of them, how they are kept, and the protocol that sets them
* `sources`: where made-up records come from, one source a kind of name (pure)
* `persist`: what tells CAs that they need no challenge, at every name that may have one (pure)
* `answer`: which names exist, and what is answered (pure)
* `dnssec/`: answers signed while they are asked for, where there is a key
* `fast/`: the short path, plain queries answered from tables (pure)
* `limits/`: rate limits by prefix, and DNS cookies (pure)
* `denied`: addresses that are not answered because a list denies them
* `observe/`: what is counted, shown to Prometheus, and logged if asked for
* `respond`: bytes of a query to bytes of its answer
* `resolvers`: the same sources as `twisted.names` resolvers, for any Twisted name server
* `transport/`: UDP and TCP
* `answering`: what one process needs to answer; `workers/`: several of them side by side
* `surroundings`: metrics served and feeds fetched, beside DNS
* `settings`, `authority`, `service`, `options`: `twistd nodetrust-dns`
"""
