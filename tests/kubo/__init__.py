"""Kubo, as it comes, gets its certificates through our AutoTLS broker and our DNS server, from Pebble.

`tox -e kubo` builds Kubo from its Go module and runs this; nothing else does, for the build takes minutes.
"""
