"""The issue server's own name: its certificate, from its own orders, and WSS and HTTPS served with it.

In reading order:

* `files`: key and chain on the disk
* `plan`: when to ask for the next certificate, and again after a failure (pure)
* `upkeep`: the certificate: the stored one, and the next one in time
* `health`: how the server is, in numbers, for whoever watches it
* `pages`: the two pages of the HTTPS listener, and its limits
* `service`: all of it together
"""
