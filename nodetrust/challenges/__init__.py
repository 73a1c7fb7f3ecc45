"""The zone's DNS servers: which ACME challenges each of them is to answer, also one that was down meanwhile.

In reading order:

* `errors`
* `outbox`: what one server still has to be told (pure)
* `enough`: wait until so many of several have succeeded
* `streams`: streams to one server that are open anyway
* `server`: one server on the wire: in bounded time, with an error that names it, and again until it has heard all
* `servers`: all of them: `publish` and `withdraw`, which are what a role calls
"""
