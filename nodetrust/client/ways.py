"""The ways to a certificate, and what the client asks of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodetrust.certificates import CertificateKey
from nodetrust.client.obtain import Obtained
from nodetrust.names import IPAddress

Order = Callable[[CertificateKey, int, Obtained | None], Awaitable[Obtained]]
"""A certificate for a key of an algorithm, in the place of the one that there is. Raises `ObtainError`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Where this peer is, and the names that a certificate would have for it. It is ordered once, and soon."""

    addresses: tuple[IPAddress, ...]
    names: frozenset[str]
    order: Order


class Way(Protocol):
    """One way: an issue server, or AutoTLS with one broker. Its methods raise `ObtainError`."""

    async def claim(self, *, anew: bool = False) -> Claim:
        """Find out where this peer is. `anew`: not where it was, so that connections from there are dead."""

    async def renew_at(self, current: Obtained, *, is_newest: bool = True) -> int | None:
        """When the certificate should be renewed, in milliseconds since the epoch; None: nobody says.

        `is_newest`: no later one is kept for another place. Raises `ObtainError` too where the certificate is none of
        this way's, or it would speak of another.
        """

    def __str__(self) -> str:
        """For a person: whose way it is."""


Ways = Sequence[Way]
"""In order of preference."""
