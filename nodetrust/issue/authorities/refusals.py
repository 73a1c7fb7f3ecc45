"""What failed at which CA and why, in one line. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.messages import E_OTHER, E_RATE_LIMIT

MAX_REASON = 300
"""Characters of one CA's reason: several of them must fit into one answer."""


class Refusals:
    """Collects why the CAs gave no certificate, one after the other."""

    def __init__(self) -> None:
        self._reasons: list[str] = []
        self._waits: list[float] = []
        self._only_busy = True

    def busy(self, directory_url: str, reason: str, seconds: float) -> None:
        """This CA was not asked, or had no room: it is worth to come back after `seconds`."""
        self._add(directory_url, reason, seconds)

    def failed(self, directory_url: str, reason: str, seconds: float | None) -> None:
        """This CA was asked and failed or refused; `seconds`: when it may be asked for the same again."""
        self._only_busy = False
        self._add(directory_url, reason, seconds)

    def error(self) -> Refusal:
        """What the peer is told, and the log.

        `E_RATE_LIMIT` where no CA had room: why is in the log already, and need not be there for each who asks. Else
        `E_OTHER`.
        """
        text = f"no certificate from {'; nor from '.join(self._reasons) or 'any CA'}"
        wait = min(self._waits, default=None)
        return Refusal(E_RATE_LIMIT, text, wait) if self._only_busy else Unavailable(text, E_OTHER, wait)

    def _add(self, directory_url: str, reason: str, seconds: float | None) -> None:
        self._reasons.append(f"{place_of(directory_url)}: {reason[:MAX_REASON]}")
        if seconds is not None:
            self._waits.append(seconds)


def place_of(directory_url: str) -> str:
    """A CA as a person calls it: the host of its directory."""
    return urlsplit(directory_url).netloc or directory_url
