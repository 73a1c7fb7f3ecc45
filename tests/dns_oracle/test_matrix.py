"""The matrix: ours beside Knot, NSD, BIND and PowerDNS, over UDP, TCP, and TCP octet by octet, in one run.

It writes what all five answered to `build/dns/matrix.txt`.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.dns_oracle import exchange, table
from tests.dns_oracle.rows import PACKETS
from tests.dns_oracle.servers import (
    ANCHORS,
    CHECKOUT,
    STARTERS,
    ZONE,
    Child,
    free_port,
    short_folder,
    start_all,
    start_ours,
)
from tests.dns_oracle.summary import DROP, Malformed, summarise
from tests.dns_oracle.toolchain import require

TRANSPORTS = ("UDP", "TCP", "TCP octet by octet")
REPORT = CHECKOUT / "build" / "dns" / "matrix.txt"

Outcomes = dict[str, list[list[str]]]
"""By server: for each transport, what it answered to each packet."""


def _ask(child: Child) -> list[list[bytes | None]]:
    packets = [packet for _, packet in PACKETS]
    udp = exchange.over_udp(child.place, packets)
    return [udp, exchange.over_tcp(child.place, packets), exchange.over_tcp(child.place, packets, split=True)]


def _summary(answer: bytes | None, packet: bytes) -> str:
    try:
        return summarise(answer, packet)
    except Malformed as error:
        return f"malformed ({error})"


def ask_all() -> Outcomes:
    """Start all five, send every packet to each, and say what came back."""
    with tempfile.TemporaryDirectory() as folder:
        running = start_all(Path(folder) / "servers")
        try:
            with ThreadPoolExecutor(len(running)) as pool:
                answers = dict(zip(running, pool.map(_ask, running.values()), strict=True))
        finally:
            for child in running.values():
                child.stop()
    return {
        name: [
            [_summary(answer, packet) for answer, (_, packet) in zip(answers, PACKETS, strict=True)]
            for answers in by_transport
        ]
        for name, by_transport in answers.items()
    }


def report(outcomes: Outcomes) -> str:
    """What all five answered: a line for each packet and transport, "=" where it is what ours says."""
    whys = table.read()
    lines = []
    for index, (title, _) in enumerate(PACKETS):
        for transport, name in enumerate(TRANSPORTS):
            ours = outcomes["ours"][transport][index]
            theirs = (outcomes[anchor][transport][index] for anchor in ANCHORS)
            columns = [title, name, ours, *("=" if other == ours else other[:40] for other in theirs), whys[title].why]
            lines.append(" | ".join(columns))
    heading = " | ".join(["packet", "over", *STARTERS, "why"])
    return "\n".join([heading, *lines]) + "\n"


class MatrixTests(SynchronousTestCase):
    """One run of all five servers, looked at from two sides."""

    outcomes: ClassVar[Outcomes] = {}

    def setUp(self) -> None:
        require("knotd", "nsd", "named", "pdns_server")
        if not self.outcomes:
            type(self).outcomes = ask_all()
            REPORT.parent.mkdir(parents=True, exist_ok=True)
            REPORT.write_text(report(self.outcomes))

    def test_ours(self) -> None:
        """Over sockets too, ours answers what the table says, and the same whether a message comes whole or not."""
        udp, tcp, split = self.outcomes["ours"]
        expected = table.read()
        for index, (title, _) in enumerate(PACKETS):
            row = expected[title]
            self.assertEqual((title, udp[index], tcp[index], split[index]), (title, row.udp, row.tcp, row.tcp))

    def test_every_difference_has_a_reason(self) -> None:
        """Where an anchor answers something else than ours, the table says why ours is right."""
        expected = table.read()
        unexplained = [
            f"{title}, {TRANSPORTS[transport]}: ours {ours[index]}, {anchor} {self.outcomes[anchor][transport][index]}"
            for index, (title, _) in enumerate(PACKETS)
            if not expected[title].why
            for transport, ours in enumerate(self.outcomes["ours"])
            for anchor in ANCHORS
            if self.outcomes[anchor][transport][index] != ours[index]
        ]
        self.assertEqual(unexplained, [])


class PipelineTests(SynchronousTestCase):
    """Many queries on one connection (RFC 7766 §6.2.1)."""

    def test_in_one_piece(self) -> None:
        """Every packet that gets an answer, written at once on one connection: each answer is its own query's."""
        expected = table.read()
        asked = [
            (title, index.to_bytes(2, "big") + packet[2:])
            for index, (title, packet) in enumerate(PACKETS)
            if expected[title].tcp != DROP
        ]
        folder = short_folder(self)
        (folder / "zone").write_text(ZONE)
        ours = start_ours(folder, folder / "zone", free_port())
        self.addCleanup(ours.stop)
        ours.wait_until_ready(PACKETS[0][1])
        answers = {answer[:2]: answer for answer in exchange.pipelined(ours.place, [packet for _, packet in asked])}
        for title, packet in asked:
            self.assertEqual((title, summarise(answers[packet[:2]], packet)), (title, expected[title].tcp))
