"""How the server is, in numbers, for whoever watches it. Errors in words stay in the log: the page is public."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from nodetrust.certificates import Chain
from nodetrust.challenges.servers import DnsServers, DnsServerState
from nodetrust.issue.authorities import Authority
from nodetrust.store import StoreError

KEEP_SECONDS = 5.0
"""For so long the store's word is passed on: who asks for the page makes it no work."""


class AnswersQuestions(Protocol):
    """The store, as far as it matters here."""

    async def living_servers(self, now: datetime) -> int:
        """How many servers use it; raises `StoreError`."""


class Health:
    """Looks at what the server needs."""

    def __init__(
        self,
        clock: Any,
        store: AnswersQuestions,
        dns: DnsServers,
        authorities: Sequence[Authority],
    ) -> None:
        self._clock = clock
        self._store = store
        self._dns = dns
        self._authorities = authorities
        self._looked_at = float("-inf")
        self._store_answers = False

    async def report(self, certificate: Chain | None) -> dict[str, Any]:
        """What `/health` says."""
        now = self._clock.seconds()
        if not 0 <= now - self._looked_at < KEEP_SECONDS:
            self._looked_at = now
            self._store_answers = await self._look(now)
        cas = [(one.directory_url, one.seconds_to_wait(now)) for one in self._authorities]
        return summary(self._store_answers, cas, self._dns.states, certificate, datetime.fromtimestamp(now, UTC))

    async def _look(self, now: float) -> bool:
        try:
            await self._store.living_servers(datetime.fromtimestamp(now, UTC))
        except StoreError:
            return False
        return True


def summary(
    store_answers: bool,
    cas: Sequence[tuple[str, float]],
    dns: Sequence[DnsServerState],
    certificate: Chain | None,
    now: datetime,
) -> dict[str, Any]:
    """`ok` is whether certificates can be issued: the store, a CA that is not left alone (its URL, and for how many
    seconds it still is), and the DNS servers.
    """
    return {
        "ok": store_answers and any(wait <= 0 for _, wait in cas) and all(one.answers for one in dns),
        "store": {"answers": store_answers},
        "cas": [{"directory": url, "left_alone_seconds": round(wait)} for url, wait in cas],
        "dns_servers": [{"peer": str(one.peer), "answers": one.answers, "pending": one.pending} for one in dns],
        "certificate": None if certificate is None else _certificate(certificate, now),
    }


def _certificate(chain: Chain, now: datetime) -> dict[str, Any]:
    return {
        "names": sorted(chain.names),
        "not_after": chain.not_after.isoformat(),
        "left_seconds": round((chain.not_after - now).total_seconds()),
    }
