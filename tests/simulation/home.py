"""A machine at home on which a whole client lives, from one start to the next; and what the world sees of it.

The client is the product's, with all its parts, on a host of `network`; so are its issue servers and its proof server.
Not real are pubsub, which notes what is published, the look from outside, and the kernel's word on our own addresses.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

import nodetrust.client.client as client_module
import nodetrust.client.company as company_module
import nodetrust.client.contacts as contacts_module
import nodetrust.client.presence as presence_module
import nodetrust.client.upkeep as upkeep_module
import nodetrust.client.whereabouts as whereabouts_module
import nodetrust.discovery.announcer as announcer_module
import nodetrust.discovery.neighbours as neighbours_module
import nodetrust.discovery.service as discovery_module
import nodetrust.issue.orders.upkeep as server_upkeep
from nodetrust.certificates import Chain
from nodetrust.client.client import Client
from nodetrust.client.obtain import Obtained
from nodetrust.client.reaching import Finding
from nodetrust.client.settings import ClientSettings
from nodetrust.client.whereabouts import Whereabouts
from nodetrust.discovery.announcement import decode_announcement
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.lists.lists import NO_LISTS
from nodetrust.messages import ISSUE_INFO_PROTOCOL, ISSUE_PROTOCOL, PROOF_PROTOCOL_NONCE
from nodetrust.names import IPAddress
from nodetrust.proof.decide import Rules
from nodetrust.proof.service import ProofProtocol
from nodetrust.reachability.decide import spelled_ip
from tests.simulation.ca import SimulatedCa
from tests.simulation.issuing import BEGIN, IssueServer
from tests.simulation.network import Host, Network
from tests.simulation.timeline import HOUR, Machine, Timeline

MINUTE = 60.0
WSS = ("/ip4/0.0.0.0/tcp/4443/tls/ws", "/ip6/::/tcp/4443/tls/ws")
PROOF_PLACES = ("/ip4/8.4.4.1/tcp/1", "/ip6/2a01:4f8::1/tcp/1")
ISSUE_PLACES = (
    ("/ip4/8.4.4.2/tcp/1", "/ip6/2a01:4f8::2/tcp/1"),
    ("/ip4/8.4.4.3/tcp/1", "/ip6/2a01:4f8::3/tcp/1"),
)

SHORT, LONG = timedelta(days=6), timedelta(days=90)
"""The lives of certificates: Let's Encrypt's profiles `shortlived` and `classic`."""

HERE, THERE = ip_address("8.8.10.1"), ip_address("8.9.20.2")
SIX = ip_address("2a02:908::7")


@dataclass(frozen=True, slots=True)
class Taken:
    """A certificate that the client has begun to serve: when, and for when that was planned, if it was."""

    at: float
    chain: Chain
    planned: float | None


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the client's log."""

    at: float
    level: LogLevel
    text: str


class PubSub:
    """Notes what is published."""

    def __init__(self, published: Callable[[Sequence[Multiaddr]], None], host: Host) -> None:
        self._published = published
        self._host = host

    def subscribe(self, *_: object) -> Callable[[], None]:
        return lambda: None

    def peers(self, topic: str) -> frozenset[Any]:
        return frozenset(connection.remote_peer for connection in self._host.connections())

    def publish(self, topic: str, data: bytes) -> None:
        self._published(decode_announcement(data, self._host.peer_id).addresses)

    def stop(self) -> None:
        """Nothing is open."""


class Home:
    """With `issuers` issue servers and a client whose certificates live for `life`.

    It is at `outside` for others; so is the machine for itself, unless it is `behind` a router. Every minute, and with
    every announcement, it is seen to that what is announced is served with a good certificate for it. What a client
    does every second or five, it does every `pace` seconds here, lest a week take minutes.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        life: timedelta,
        *,
        issuers: int = 1,
        behind: bool = False,
        pace: float = MINUTE,
        **settings: Any,
    ) -> None:
        self.test = test
        self.timeline = Timeline(BEGIN)
        self.machine = Machine(self.timeline)
        self.network = Network(self.timeline)
        self.ca = SimulatedCa(self.timeline, life)
        self.outside: tuple[IPAddress, ...] = (HERE,)
        self.behind = behind
        self.client: Client | None = None
        self.taken: list[Taken] = []
        self.failures: list[tuple[float, Exception]] = []
        self.said: list[Said] = []
        self.bare_minutes = 0
        """How many minutes the client ran without a good certificate."""
        self.unannounced_minutes = 0
        self._host: Host
        self._key = PrivateKey.generate()
        self._planned: float | None = None
        self._served: dict[str, Chain] = {}
        self.prover = PrivateKey.generate()
        proof_places = tuple(map(Multiaddr.parse, PROOF_PLACES))
        self.proof = self.network.add(self.prover, Machine(self.timeline), proof_places)
        signed = ProofProtocol(self.proof.clock, lambda: self.prover, Rules(False, NO_LISTS))
        self.proof.handle(PROOF_PROTOCOL_NONCE, signed.prove_request)
        self.issuers = [
            IssueServer(test, self.timeline, self.ca, self.prover, Random(4), proof_places=PROOF_PLACES, places=places)
            for places in ISSUE_PLACES[:issuers]
        ]
        self.servers = [self.network.add(one.issuer, one.server, one.places) for one in self.issuers]
        self._patch(pace)
        for issuer, server in zip(self.issuers, self.servers, strict=True):
            issuer.start()
            server.handle(ISSUE_INFO_PROTOCOL, issuer.protocol.inform)
            server.handle(ISSUE_PROTOCOL, issuer.protocol.issue)
        self.settings = ClientSettings(
            issuer=tuple(place for one in self.issuers for place in one.places),
            state=Path(test.mktemp()).absolute(),
            listen=(),
            wss_listen=tuple(map(Multiaddr.parse, WSS)),
            map_ports=False,
            announce_seconds=pace,
            **settings,
        )

    def _patch(self, pace: float) -> None:
        test = self.test
        test.patch(client_module, "open_host", self._open_host)
        test.patch(company_module, "start_pubsub", lambda host, *_: PubSub(self._published, host))
        test.patch(presence_module, "look_from_outside", lambda *_: self._look)
        test.patch(presence_module, "Whereabouts", partial(Whereabouts, look=self._own_addresses))
        for module in (company_module, presence_module, upkeep_module):
            test.patch(module, "SystemRandom", partial(Random, 7))
        paces = [(announcer_module, "SOON_SECONDS"), (discovery_module, "EXPIRE_SECONDS")]
        paces.append((neighbours_module, "LOOK_SECONDS"))
        if pace > MINUTE:
            paces.append((presence_module, "LOOK_SECONDS"))
            paces += [(server_upkeep, "BEAT_SECONDS"), (server_upkeep, "LOOK_SECONDS")]
            paces += [(contacts_module, "RECONNECT_SECONDS"), (whereabouts_module, "LOOK_SECONDS")]
        for module, name in paces:
            test.patch(module, name, 6 * HOUR if module is server_upkeep else pace)
        gc.disable()
        test.addCleanup(gc.enable)
        observer = _Observer(self)
        globalLogPublisher.addObserver(observer)
        test.addCleanup(globalLogPublisher.removeObserver, observer)
        test.addCleanup(self.end)

    # The client's lives.

    def start(self) -> None:
        """Start the client, with what an earlier life has left."""
        self._served.clear()
        self.client = client = Client(self.machine, self.settings)
        client.on_certificate(self._take)
        client.on_failure(lambda error: self.failures.append((self.now, error)))
        client.start().addErrback(_raise)

    def stop(self) -> None:
        """Stop it; nothing of it is left that waits."""
        assert self.client is not None
        stopping = self.client.stop()
        self.client = None
        self.timeline.run_for(MINUTE)
        self.test.successResultOf(stopping)

    def end(self) -> None:
        """Stop everything; once more does nothing."""
        if self.client is not None:
            self.stop()
        while self.issuers:
            self.issuers.pop().stop()

    # What happens to it.

    @property
    def now(self) -> float:
        """The true time."""
        return self.timeline.seconds()

    def move(self, *outside: IPAddress) -> None:
        """It is at these addresses from now on."""
        self.outside = outside
        if self.client is not None:
            self._host.move(outside)

    def set_away(self, server: int, away: bool) -> None:
        """An issue server can't be reached from now on, or can again."""
        self.servers[server].away = away
        if away and self.client is not None:
            for connection in self._host.connections(self.issuers[server].issuer.peer_id):
                connection.close()

    def run_for(self, seconds: float) -> None:
        """Let time pass, and look every minute."""
        self.run_until(self.now + seconds)

    def run_until(self, end: float) -> None:
        """The same, until then."""
        while self.now < end:
            self.timeline.run_until(min(end, self.now + MINUTE))
            self._sample()

    # What the world sees.

    def _take(self, obtained: Obtained) -> None:
        self.taken.append(Taken(self.now, obtained.chain, self._planned))
        self._planned = None
        assert self.client is not None
        for name in obtained.chain.names:
            self.test.assertEqual(served_leaf(self.client.certificates, name), obtained.chain.leaf)

    def _sample(self) -> None:
        if self.client is None:
            return
        current = self.client.current
        if current is not None and current.renew_at is not None:
            self._planned = current.renew_at.timestamp()
        self.bare_minutes += current is None or not self._is_good(current.chain)
        self.unannounced_minutes += not self.client.addresses
        self._check(self.client.addresses)

    def _published(self, addresses: Sequence[Multiaddr]) -> None:
        self._check(addresses)

    def _check(self, addresses: Sequence[Multiaddr]) -> None:
        """What is announced is served, under its name, with a certificate that is good now."""
        if not addresses:
            return
        assert self.client is not None and self.client.current is not None
        chain = self.client.current.chain
        self._served.update(dict.fromkeys(chain.names, chain))
        for address in addresses:
            name = address.get(f"dns{_ip_of(address).version}")
            self.test.assertIn(name, self.client.certificates.names)
            self.test.assertTrue(self._is_good(self._served[name or ""]), f"{name} is announced, its certificate over")

    def _is_good(self, chain: Chain) -> bool:
        return chain.not_before.timestamp() <= self.now < chain.not_after.timestamp()

    @property
    def announced(self) -> set[IPAddress]:
        """The addresses whose names are announced."""
        assert self.client is not None
        return {_ip_of(address) for address in self.client.addresses}

    @property
    def planned(self) -> float:
        """When the certificate that is served is to be renewed."""
        assert self._planned is not None
        return self._planned

    @property
    def orders(self) -> int:
        """That the CA has taken."""
        return len(self.ca.orders)

    @property
    def loud(self) -> list[Said]:
        """What the client's upkeep has said that is more than information."""
        return [said for said in self.said if said.level > LogLevel.info]

    # In the place of what is not simulated.

    def _open_host(self, reactor: Any, settings: Any, **options: Any) -> Host:
        self._host = Host(self.machine, self.network, self._key, self.outside)
        return self._host

    def _own_addresses(self) -> frozenset[IPAddress]:
        return frozenset([ip_address("192.168.1.2")] if self.behind else self.outside)

    def _look(self, addresses: Sequence[Multiaddr]) -> Deferred[list[Finding]]:
        if not self.outside or all(server.away for server in self.servers):
            return fail(DialError("nobody is there who looks"))
        looking: Deferred[list[Finding]] = Deferred()
        self.timeline.call_later(1.0, self.machine.seconds, lambda: looking.callback(self._findings(addresses)))
        looking.addErrback(lambda failure: failure)
        return looking

    def _findings(self, addresses: Sequence[Multiaddr]) -> list[Finding]:
        """A server dials nothing but the address that it is asked from: of others nobody knows."""
        return [Finding(one, True if _ip_of(one) in self.outside else None, "not dialled") for one in addresses]


@implementer(ILogObserver)
class _Observer:
    """Notes what the client's upkeep says."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def __call__(self, event: Any) -> None:
        if event["log_namespace"] == upkeep_module.Upkeep.__module__ + ".Upkeep":
            self._home.said.append(Said(self._home.now, event["log_level"], formatEvent(event)))


def _ip_of(address: Multiaddr) -> IPAddress:
    ip = spelled_ip(address)
    assert ip is not None
    return ip


def served_leaf(certificates: CertificateStore, name: str) -> x509.Certificate:
    """What a browser that asks for a name is shown."""
    browser = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    browser.set_tlsext_host_name(name.removeprefix("*.").encode())
    browser.set_connect_state()
    server = certificates.serverConnectionForTLS(None)  # type: ignore[arg-type]  # it does not ask for whom
    server.set_accept_state()
    for one, other in 2 * ((browser, server), (server, browser)):
        with suppress(SSL.WantReadError):
            one.do_handshake()
        with suppress(SSL.WantReadError):
            other.bio_write(one.bio_read(1 << 16))
    shown = browser.get_peer_certificate(as_cryptography=True)
    assert shown is not None
    return shown


def _raise(failure: Failure) -> None:
    failure.raiseException()
