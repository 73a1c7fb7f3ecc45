"""Addresses that are not answered: the operator's lists of prefixes, and others' that are fetched.

In reading order:

* `prefixes`: a set of prefixes, asked for one address (pure)
"""
