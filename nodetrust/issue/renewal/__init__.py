"""When certificates are to be renewed: the CA's word (ARI), and what many of them at once mean for the limits.

<https://www.rfc-editor.org/rfc/rfc9773>

In reading order:

* `plan`: the moment for one certificate, and how long many take (pure)
* `turns`: when each of a crowd may come back (pure)
* `haste`: very many that are due early: how many it may become, and how long it takes (pure)
* `windows`: asks the CAs for the windows of what is in the store, at their pace
"""

from nodetrust.issue.renewal.plan import Estimate, estimate, is_due, planned
from nodetrust.issue.renewal.turns import Turns

__all__ = ["Estimate", "Turns", "estimate", "is_due", "planned"]
