"""Who gets nothing: the operator's lists of prefixes and peers, and others' that are fetched. One format for all roles.

A DNS server answers no denied address, a proof server proves nothing to a denied peer or from a denied address, and an
issue server gives them no certificate; neither of these two dials them back.

In reading order:

* `prefixes`: a set of prefixes, asked for one address (pure)
* `entries`: what one list names: prefixes and peers (pure)
* `wire`: lists as text (pure)
* `lists`: all lists together; an allowlist wins (pure)
* `files`: the lists' files, read again when they change
* `kept`, `feeds`: lists of others, fetched into files
* `build`, `settings`: from the settings to all of it; what an operator may say, in every role
* `metrics`: what Prometheus is told of each list
* `errors`: a list that is refused
"""
