"""A server's own name: its certificate, which is there after a restart, and the next one in time.

In reading order:

* `names`: as an operator gives them (pure)
* `files`: key and chain on the disk
* `plan`: when to ask for the next certificate, and again after a failure (pure)
* `upkeep`: the certificate: the stored one, and the next one in time
"""
