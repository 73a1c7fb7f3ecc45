"""Why a peer has no certificate, or cannot be dialled: the whole path that its certificate depends on, step by step.

In reading order:

* `steps`: what one step found, and who is told (pure)
* `walked`: what a walk has found so far
* `peer`, `issuer`, `proofs`, `zone`, `caa`, `stored`, `outside`: what is to be said of each part of the path (pure)
* `dialling`: what a failed dial means (pure)
* `network`: what is asked of issue and proof servers
* `names`: what is asked of the DNS
* `zone_walk`: the part of the path that is the DNS
* `walk`: the path from end to end
"""
