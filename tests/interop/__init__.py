"""Tests against programs that others wrote: js-libp2p, go-libp2p and Pebble.

Read `toolchain.py` (gets and builds them), `harness.py` (starts and drives them), `pebble.py`, then the tests.
`peers/` has the sources of the programs that run on Node and Go; `our_peer.py` is one of ours that is driven like them.
"""
