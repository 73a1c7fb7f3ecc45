"""Fakes and stand-ins that are part of the product, so that those who build on nodetrust can test with them too.

* `memory`: two libp2p channels joined in memory
* `ca`: a development CA that speaks real ACME
"""
