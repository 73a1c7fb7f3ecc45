"""The operator's own records: what a zone file says, checked before it is in force.

In reading order:

* `zone`: the records of a zone, and where it is cut (pure)
* `caa`: which CAs may sign (RFC 8659, RFC 8657)
* `zonefile`: reading, checking and writing the file
* `reload`: SIGHUP reads it again; a broken one changes nothing
"""
