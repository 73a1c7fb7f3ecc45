"""The DNS server: authoritative for one zone, over UDP and TCP.

Names that spell an address or a peer ID, ACME challenges that the issue server sets, and the operator's zone file. One
pure function, `answer.answer`, decides every answer. RFC 1034, 1035, 2181, 2308, 4343, 4592, 4892, 5001, 6891, 7766,
7873, 8020, 8482, 9018, 9471.

In reading order:

* `records`: names, types and record sets, ready for the wire (pure)
* `labels`: labels as octets, read by the rules of `nodetrust.names` (pure)
* `wire`: the strict reader of queries, the writer of responses (pure)
* `zone`, `zonefile`, `caa`: the operator's records; how its file is read, checked, written (pure but for the reading)
* `challenges`: which challenges may be set, and the table of them (pure)
* `sources`: where made-up records come from, one source a kind of name (pure)
* `answer`: which names exist, and what is answered (pure)
* `dnssec`: answers signed while they are asked for, where there is a key
* `fast`: the short path, plain queries answered from tables (pure)
* `limits`: rate limits by prefix, and DNS cookies (pure)
* `lists`: denylists and allowlists of prefixes, files and feeds
* `counters`, `querylog`: what is counted, and logged if asked for
* `respond`: bytes of a query to bytes of its answer
* `resolvers`: the same sources as `twisted.names` resolvers, for any Twisted name server
* `sockets`: an address bound for UDP and TCP
* `exchange`, `mmsg`, `udp`: queries read and answered one by one, many at once, and the port that does it
* `tcp`, `ports`: DNS over TCP, and both together
* `answering`: what one process needs to answer; `workers`: several of them side by side
* `dns01`: the libp2p protocol by which the issue server sets challenges
* `journal`, `kept`: challenges that outlive kill -9
* `surroundings`, `metrics`: what is served and fetched beside DNS
* `settings`, `authority`, `reload`, `service`, `options`: `twistd nodetrust-dns`
"""
