"""Months of renewals in seconds: the real client, issue server and store, on a clock that is told.

`world` has thousands of peers that renew, `home` one whole client to which everything happens.

What is not real: the CA (it knows Let's Encrypt's limits), the network, threads and files. With
NODETRUST_SIMULATION=full in the environment, ten thousand peers renew at once, in place of two thousand.
"""
