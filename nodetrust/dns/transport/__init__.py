"""DNS over UDP and TCP (RFC 1035 §4.2, RFC 7766).

In reading order:

* `sockets`: an address bound for both
* `exchange`, `mmsg`: datagrams read and answered one by one, or many at once by recvmmsg and sendmmsg
* `udp`: the port that does it
* `tcp`: queries in a stream, with all that bounds it
* `ports`: both together
"""
