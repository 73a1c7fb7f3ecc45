"""A development CA: a small ACME server (RFC 8555) that validates dns-01 by DNS queries to a server of your choice.

<https://www.rfc-editor.org/rfc/rfc8555>. Like Pebble it keeps everything but its root in memory, computes statuses
instead of storing them, and misbehaves on purpose (`CASettings`), so that a client which copes here copes elsewhere.

The files have the names of the roles in that document. Read in this order:

* `errors`, `problems` (one table), `settings`, `policy` (which names), `jws` (signed requests): pure
* `db` (what is remembered), `ca` (what is signed)
* `wfe` (requests → answers), which hands on to `accounts`, `orders` and `certificates`; `reply` is what these share,
  and `replacement` which certificate an order may replace
* `va` (the DNS query), `server` (`DevelopmentCA`)
"""

from nodetrust.testing.ca.errors import CAError
from nodetrust.testing.ca.server import DevelopmentCA
from nodetrust.testing.ca.settings import CASettings

__all__ = ["CAError", "CASettings", "DevelopmentCA"]
