"""Metrics that have p2p-forge's names say what p2p-forge's say."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dns.message
import dns.query
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, readBody

from nodetrust.libp2p.keys import PrivateKey
from tests.interop.forge_pair import DOMAIN, HOST, REGISTRATION, Nodetrust, P2pForge, Side
from tests.interop.harness import InteropTestCase, Peer
from tests.interop.toolchain import require_p2p_forge
from tests.servers import reactor

NODES = 4
SECONDS = 10
DENIED = "192.0.2.1\n198.51.100.0/24\n"

PEER = f"{PrivateKey.from_seed(bytes(32)).peer_id.to_cid_base36()}.{DOMAIN}"
QUESTIONS = (
    *((f"1-2-3-4.{PEER}", type_) for type_ in ("A", "AAAA", "TXT", "HTTPS", "ANY")),
    *((f"2001-db8--1.{PEER}", type_) for type_ in ("A", "AAAA", "TXT", "HTTPS", "ANY")),
    *((PEER, type_) for type_ in ("A", "AAAA", "TXT", "HTTPS", "ANY")),
    *((f"_acme-challenge.{PEER}", type_) for type_ in ("TXT", "A", "AAAA", "HTTPS", "ANY")),
    (f"1-2-3.{PEER}", "A"),
    (f"1-2-3-4.{PEER.upper()}", "A"),
    (f"www.1-2-3-4.{PEER}", "A"),
    (DOMAIN, "SOA"),
    (f"nobody.{DOMAIN}", "A"),
)

COUNTED = (
    "coredns_forge_acme_dns01_responses_total",
    "coredns_forge_acme_http_request_duration_seconds_count",
    "coredns_forge_acme_http_requests_inflight",
    "coredns_forge_denylist_entries",
    "coredns_forge_ipparser_responses_total",
)
"""With the same values after the same traffic; what p2p-forge never counted it does not mention, and we say 0."""

PROBES, DURATIONS = "coredns_forge_acme_libp2p_probe_total", "coredns_forge_acme_http_request_duration_seconds"
UPDATES = "coredns_forge_denylist_last_update_timestamp"


class ForgeMetricsTests(InteropTestCase):
    """p2p-forge's client and the same queries, at p2p-forge and at ours."""

    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        program = require_p2p_forge()
        folder = TemporaryDirectory(prefix="nodetrust-")
        self.addCleanup(folder.cleanup)
        self.deny = Path(folder.name) / "deny.list"
        self.deny.write_text(DENIED)
        self.theirs = P2pForge(Path(folder.name) / "theirs", program, self.deny)
        self.ours = Nodetrust(Path(folder.name) / "ours", self.deny)

    async def test_the_same(self) -> None:
        """Names, labels and values are p2p-forge's."""
        await self.start(self.theirs)
        self.deny.write_text(DENIED)  # it counts what it has read again, not what it has read first
        await self.theirs.programs["server"].logged("(reloaded, 2 entries)")
        await self.start(self.ours)
        theirs, ours = await self.metrics_of(self.theirs), await self.metrics_of(self.ours)
        self.assertEqual(_values(theirs, COUNTED), _values(ours, COUNTED))
        self.assertEqual(_values(theirs, (PROBES,)), {(PROBES, ("agent", "other"), ("result", "ok")): NODES})
        self.assertEqual(_values(ours, (PROBES,)), {(PROBES, ("agent", "other"), ("result", "ok")): NODES})
        bounds = [{one.labels["le"] for one in told if one.name == f"{DURATIONS}_bucket"} for told in (theirs, ours)]
        self.assertEqual(bounds[0], bounds[1])
        self.assertEqual(set(_values(theirs, (UPDATES,))), set(_values(ours, (UPDATES,))))

    async def start(self, side: Side) -> None:
        """Until the test ends."""
        self.addCleanup(lambda: Deferred.fromCoroutine(side.stop()))
        await side.start()

    async def metrics_of(self, side: Side) -> list[Sample]:
        """What is counted of it all."""
        await self.register(side)
        await deferToThread(_ask, side.name_server)
        agent: Any = Agent(reactor)
        samples: list[Sample] = []
        for url in side.metrics:
            text = (await readBody(await agent.request(b"GET", url.encode()))).decode()
            samples += [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return samples

    async def register(self, side: Side) -> None:
        """New nodes, of which each gets its value."""
        client = Peer("go_autotls")
        client.spawn([self.tools.go_autotls])
        self.addCleanup(lambda: Deferred.fromCoroutine(client.stop()))
        told = await client.command(
            "register",
            endpoint=f"http://{REGISTRATION}",
            connect=side.connect,
            domain=DOMAIN,
            listen=[f"/ip4/{HOST}/tcp/0"] * NODES,
            forwarded=True,
            atOnce=NODES,
        )
        self.assertEqual((told["registered"], told["errors"]), (NODES, []))
        self.assertEqual(await client.command("lookUp", nameServer=side.name_server), {"found": NODES})


def _ask(name_server: str) -> None:
    host, _, port = name_server.rpartition(":")
    for name, type_ in QUESTIONS:
        dns.query.udp(dns.message.make_query(name, type_), host, SECONDS, int(port))


def _values(samples: list[Sample], names: tuple[str, ...]) -> dict[tuple[object, ...], float]:
    """Those that are not 0 or that can be, by their name and labels; to Prometheus an empty label is none."""
    return {
        (sample.name, *sorted(label for label in sample.labels.items() if label[1])): sample.value
        for sample in samples
        if sample.name in names and (sample.value or "inflight" in sample.name)
    }
