"""The CAs in order of preference: each with its account, and left alone for a while after it failed.

In reading order:

* `blame`: whose fault an error was, and so what is done about it (pure)
* `pauses`: how long who failed is left alone: 1, 10, 100 minutes, a day (pure)
* `refusals`: what failed where and why, in one answer (pure)
* `account`: our account at one CA
* `authority`: one CA: its client, and its pause, which outlives a restart
"""

from nodetrust.issue.authorities.authority import Authority, open_authorities
from nodetrust.issue.authorities.blame import Blame, blame
from nodetrust.issue.authorities.pauses import Pause, PauseBook, next_pause
from nodetrust.issue.authorities.refusals import Refusals

__all__ = ["Authority", "Blame", "Pause", "PauseBook", "Refusals", "blame", "next_pause", "open_authorities"]
