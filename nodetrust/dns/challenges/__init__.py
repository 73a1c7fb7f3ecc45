"""ACME challenges: who may set which, and that none is forgotten once it was acknowledged.

In reading order:

* `table`: the challenges that are set (pure)
* `rights`: who may set which (pure)
* `journal`, `kept`: on the disk before the OK, so that they outlive kill -9
* `dns01`: the libp2p protocol by which the issue server sets them
"""
