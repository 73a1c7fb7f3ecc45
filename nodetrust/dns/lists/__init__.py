"""Addresses that are not answered: the operator's lists of prefixes, and others' that are fetched.

In reading order:

* `prefixes`: a set of prefixes, asked for one address (pure)
* `wire`: lists as text (pure)
* `denied`: which addresses are not answered; an allowlist wins (pure)
* `files`: the lists' files, read again when they change
* `kept`, `feeds`: lists of others, fetched into files
* `build`: from the settings to all of it
"""
