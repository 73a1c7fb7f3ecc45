"""A shared domain and its CA's limits, on a simulated clock: who gets a certificate, when, and who does not.

Peers join, change their address, renew and leave; Sybils ask for all that they can get. Every order is decided by the
issue server's own code, `nodetrust.issue.quota` and `nodetrust.quotas`. `docs/quotas.md` tells what came out.

In reading order: `parameters`, `waiting` (those that were told to come back), `tally` (what is counted), `world` (the
simulation), `scenarios` (which worlds are looked at), `report` (tables), `plot`.

``python -m benchmarks.shared_domain --help``
"""
