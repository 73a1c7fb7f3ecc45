"""A short run of the fuzz program, and faults of the kinds that it must find."""

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.limits.gate import Gate
from nodetrust.dns.respond import Responder
from tests.fuzz.dns import MAX_GROWTH_BYTES, Finding, Target, run, seeds


class Faulty(Responder):
    """A responder with a fault."""

    fault = ""

    def respond_all(self, packets: Sequence[bytes], sources: Sequence[bytes]) -> list[bytes | None]:
        responses = super().respond_all(packets, sources)
        for index, (packet, response) in enumerate(zip(packets, responses, strict=True)):
            if self.fault == "answers responses" and len(packet) > 12 and packet[2] & 0x80:
                responses[index] = packet
            elif response is not None and self.fault == "too large":
                responses[index] = response + bytes(1000)
            elif response is not None and self.fault == "other ID":
                responses[index] = b"\xee\xee" + response[2:]
            elif self.fault == "exception" and len(packet) == 17:
                raise IndexError
        return responses


class FuzzTests(SynchronousTestCase):
    """`tests.fuzz.dns`."""

    def test_short_run(self) -> None:
        """Thousands of packets break no rule, and memory stays as it is."""
        lines: list[str] = []
        self.assertLess(run(20_000, 7, lines.append), MAX_GROWTH_BYTES)
        self.assertIn("20,000 packets", lines[0])

    def test_reaches_everything(self) -> None:
        """The packets meet every outcome: answers, refusals, silence, and both kinds of limits."""
        target = Target()
        run(20_000, 8, lambda line: None, target)
        free, limited = target.free.counters, target.limited.counters
        for count in (free.answered, free.refused, free.dropped, limited.slipped, limited.limited, limited.answered):
            self.assertGreater(count, 20)

    def test_seeds_are_answered(self) -> None:
        """The queries that are mutated are honest before: nearly all of them get more than a header."""
        target = Target()
        responses = [target.free.respond(packet, udp=True) for packet in seeds()]
        self.assertGreater(sum(response is not None and len(response) > 12 for response in responses), 800)

    def test_finds_faults(self) -> None:
        """A server with a fault is found out within a few thousand packets."""
        for fault in ("answers responses", "too large", "other ID", "exception"):
            target = Target()
            target.free = Faulty(target.free.authority, target.seconds, Gate())
            target.free.fault = fault
            self.assertRaises((Finding, IndexError), run, 20_000, 9, lambda line: None, target)
