"""What came of a walk so far, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodetrust.client.diagnosis.steps import Report, Step
from nodetrust.names import IPAddress


@dataclass(slots=True)
class Walked:
    """The path so far."""

    steps: list[Step] = field(default_factory=list)
    served: bool = False
    """An issue server has given information, or a broker is well."""
    wants_proof: bool = True
    """Whether there is no certificate without a proven address."""
    known: dict[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    """Where this peer is, by the zones in which it gets names: as proven, or as far as it is known."""

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(ip for addresses in self.known.values() for ip in addresses))


class Journal:
    """Keeps what one walk finds, and passes it on."""

    def __init__(self, report: Report, walked: Walked) -> None:
        self.walked = walked
        self._report = report

    def begin(self, what: str) -> None:
        """What is being waited for from now on."""
        self._report.begin(what)

    def tell(self, *steps: Step) -> None:
        """These have been found."""
        for step in steps:
            self.walked.steps.append(step)
            self._report.tell(step)
