"""Why a peer has no certificate, or cannot be dialled: the whole path that its certificate depends on, step by step.

There are two: by issue servers, and by AutoTLS. They share what they have in common, the DNS above all.

In reading order:

* `steps`: what one step found, and who is told (pure)
* `walked`: what a walk has found so far
* `peer`, `zone`, `caa`, `stored`, `outside`: what is to be said of each part that both paths have (pure)
* `issuer`, `proofs`: the same for the parts by issue servers (pure)
* `broker`, `authority`, `challenge`, `peers`: and for those by AutoTLS (pure)
* `dialling`: what a failed dial means (pure)
* `network`, `autotls_network`: what is asked of servers and peers
* `names`: what is asked of the DNS
* `zone_walk`: the part of a path that is the DNS
* `walk`: the path by issue servers, from end to end
* `autotls_outside`, `autotls_walk`: the path by AutoTLS
"""
