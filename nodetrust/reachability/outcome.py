"""What became of one address that was to be checked, and the same on the wire. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.messages import CheckFault, CheckResult, readable

MAX_MESSAGE_CHARACTERS = 200
"""Of one result: eight of them and their addresses stay below `MAX_CHECK_RESPONSE_BYTES` in any script."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Reachable, where `fault` is None; else why not, and what was seen, for a person."""

    fault: CheckFault | None
    message: str = ""

    @property
    def reachable(self) -> bool:
        """Whether the peer was met at the address."""
        return self.fault is None

    def to_result(self, address: bytes) -> CheckResult:
        """The result for the binary multiaddr `address`, as the request had it."""
        message = readable(self.message)[:MAX_MESSAGE_CHARACTERS]
        return CheckResult(addr=address, reachable=self.reachable, fault=self.fault, message=message or None)


def outcome_of(result: CheckResult) -> Outcome:
    """What a server says of an address; a fault without a number is the general one."""
    fault = None if result.reachable else result.fault if result.HasField("fault") else CheckFault.FAILED
    return Outcome(fault, readable(result.message))


REACHED = Outcome(None)
