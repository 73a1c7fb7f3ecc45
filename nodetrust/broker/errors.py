"""What the broker refuses, and the status that says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nodetrust.errors import NodetrustError


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one address of a request. `fault` is the word for it, None where the peer was met."""

    address: str
    fault: str | None
    message: str = ""


class Refusal(NodetrustError):
    """A request that is answered with `status`; the text begins as p2p-forge's does. `tried`: of each address."""

    def __init__(
        self, status: int, text: str, *, retry_after_seconds: float | None = None, tried: Sequence[Tried] = ()
    ) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = None if retry_after_seconds is None else max(1, math.ceil(retry_after_seconds))
        self.tried = tuple(tried)
