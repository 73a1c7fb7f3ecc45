"""One issue server with its store, a CA, and peers that renew: all that is ours is real, but for the network."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, insert
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.by_issuer as by_issuer_module
import nodetrust.client.upkeep as client_upkeep
from nodetrust.certificates import CertificateKey, Chain, make_csr, make_key, public_key_der
from nodetrust.client.by_issuer import by_issuers
from nodetrust.client.errors import NoProofs
from nodetrust.client.obtain import Obtained
from nodetrust.client.prove import Proofs, ask_info
from nodetrust.client.renewal import CHECK_SECONDS
from nodetrust.client.settings import ClientSettings
from nodetrust.client.upkeep import Upkeep
from nodetrust.issue.renewal.windows import ASK_AGAIN_SECONDS
from nodetrust.libp2p.errors import Timeout
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import ECDSA_P256, ISSUE_INFO_PROTOCOL
from nodetrust.names import certificate_names
from nodetrust.proofs import make_proof
from nodetrust.renewal import renewal_time
from nodetrust.store import StoredCertificate, rows
from nodetrust.store.schema import certificates
from tests.simulation.ca import DIRECTORY, SimulatedCa
from tests.simulation.issuing import BEGIN, ZONE, IssueServer
from tests.simulation.timeline import Machine, Timeline


class World(IssueServer):
    """After `start`, time passes with `timeline`; `stop` ends it."""

    def __init__(self, test: SynchronousTestCase, **ca_settings: Any) -> None:
        timeline = Timeline(BEGIN)
        super().__init__(test, timeline, SimulatedCa(timeline), PrivateKey.generate(), Random(4), **ca_settings)
        self.prover_machine = Machine(timeline)
        self.peers: list[Peer] = []
        self.stored: dict[Path, Obtained] = {}
        self.check_seconds = CHECK_SECONDS
        """How often each client asks when to renew."""
        test.patch(by_issuer_module, "prove", self._prove)
        test.patch(client_upkeep, "save", self.stored.__setitem__)
        test.patch(client_upkeep, "load", self.stored.get)
        # What is left is freed at the end: a fifth of the time went into looking for it.
        gc.disable()
        test.addCleanup(gc.enable)
        test.addCleanup(self.stop)

    def stop(self) -> None:
        """End everything."""
        for peer in self.peers:
            peer.stop()
        super().stop()

    def add_peers(self, number: int, oldest_seconds: float) -> None:
        """Peers whose certificates were issued at random, up to `oldest_seconds` ago, and are known to the server.

        The CA was asked about each within the last six hours, and has said what it now says.
        """
        known = [self._add_peer(oldest_seconds) for _ in range(number)]

        def save(connection: Connection) -> None:
            connection.execute(insert(certificates), [rows.certificate_to_row(one) for one in known])

        Deferred.fromCoroutine(self.store._database.write(save)).addErrback(lambda failure: failure.raiseException())
        for peer in self.peers[-number:]:
            peer.start()

    def _add_peer(self, oldest_seconds: float) -> StoredCertificate:
        began = datetime.fromtimestamp(int(self.timeline.seconds() - self.random.uniform(0, oldest_seconds)), UTC)
        checked = datetime.fromtimestamp(self.timeline.seconds() - self.random.uniform(0, ASK_AGAIN_SECONDS), UTC)
        peer = Peer(self, len(self.peers))
        self.peers.append(peer)
        known = replace(peer.begin_with(began), ari_checked_at=checked)
        if self.ca.window is None:
            return known
        window = self.ca.window(x509.load_pem_x509_certificate(known.certificate_pem))
        return replace(known, renew_at=renewal_time(known, window, checked, self.random.random()))

    async def _prove(self, host: Any, issuer: Any, *, clock: Any, progress: Any) -> Proofs:
        """As the client does it, but for connections: of one proof server."""
        info = await ask_info(host, issuer)
        now_ms = int(self.prover_machine.seconds() * 1000)
        if host.peer.cannot_prove():
            raise NoProofs("no proof server is there")
        wrapper = make_proof(
            self.prover,
            host.peer_id,
            [host.peer.address],
            now_ms,
            issuer=self.issuer.peer_id.multihash,
            nonce=info.nonce,
        )
        return Proofs(info.domain, frozenset(info.cryptos), (wrapper,), (host.peer.address,))


class Peer:
    """A client. `chain` is what it serves; its names are known at the CA."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.machine = Machine(world.timeline)
        self.peer_id = PrivateKey.generate().peer_id
        self.address = IPv4Address(0x08000000 + 257 * number)
        self.folder = Path(f"/nowhere/{number}")
        self.first_end = 0.0
        """Of the certificate that it began with."""
        self.taken: list[float] = []
        self.errors: list[tuple[float, Exception]] = []
        self.upkeep: Upkeep | None = None
        self._running: Deferred[None] | None = None

    @property
    def chain(self) -> Chain:
        """Of the certificate that it serves."""
        assert self.upkeep is not None and self.upkeep.current is not None
        return self.upkeep.current.chain

    @property
    def ends(self) -> float:
        """When that ends."""
        return self.chain.not_after.timestamp()

    def cannot_prove(self) -> bool:
        """Whether there are no proofs for it now."""
        return False

    def begin_with(self, began: datetime) -> StoredCertificate:
        """Have a certificate from then; returns it as the server would know it."""
        world = self.world
        key = make_key(ECDSA_P256)
        names = sorted(certificate_names(self.peer_id, [self.address], ZONE, "addresses"))
        leaf = world.ca.sign(x509.load_der_x509_csr(make_csr(key, names)), names, began)
        self.first_end = leaf.not_valid_after_utc.timestamp()
        world.stored[self.folder] = Obtained(Chain(leaf, ()), key, (self.address,), from_cache=True)
        return self._row(leaf, key, names)

    def _row(self, leaf: x509.Certificate, key: CertificateKey, names: list[str]) -> StoredCertificate:
        return StoredCertificate(
            peer_id=self.peer_id.multihash,
            names=tuple(names),
            public_key_sha256=hashlib.sha256(public_key_der(key.public_key())).digest(),
            crypto=ECDSA_P256,
            certificate_pem=leaf.public_bytes(Encoding.PEM),
            issuers_pem=b"",
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            from_csr=True,
            directory_url=DIRECTORY,
        )

    def start(self) -> None:
        """Start the client, with what it has stored."""
        settings = ClientSettings(issuer=(self.world.place,), state=self.folder, check_seconds=self.world.check_seconds)
        host: Any = Host(self)
        ways = by_issuers(self.machine, host, settings.issuer, settings.names)
        self.upkeep = Upkeep(self.machine, settings, ways, self._use, self._failed, steady=self.world.timeline.seconds)
        self._running = Deferred.fromCoroutine(self.upkeep.run())

    def stop(self) -> None:
        """Stop it."""
        if self.upkeep is not None and self._running is not None:
            self.upkeep.stop()
            self._running.addErrback(lambda failure: failure.trap(CancelledError) and None)
            self._running.cancel()
            self.upkeep = self._running = None

    def _use(self, obtained: Obtained) -> None:
        self.taken.append(self.world.timeline.seconds())

    def _failed(self, error: Exception) -> None:
        self.errors.append((self.world.timeline.seconds(), error))


class Host:
    """A libp2p host that knows the way to the issue server alone."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.peer_id = peer.peer_id

    async def connect(self, addresses: Any, peer_id: Any) -> None:
        """There is a connection."""

    async def open_messages(self, peer_id: Any, protocols: list[str], max_bytes: int, seconds: float) -> Stream:
        return Stream(self.peer, protocols[0], seconds)


class Stream:
    """A stream to the issue server: what is written is its request, what is read its answer."""

    def __init__(self, peer: Peer, protocol: str, seconds: float) -> None:
        self._peer = peer
        self._protocol = protocol
        self._seconds = seconds
        self._request = b""

    def write(self, message: bytes) -> None:
        self._request = message

    async def read(self) -> bytes:
        server = self._peer.world.protocol
        far = _FarEnd(self._peer, self._request)
        answer = server.inform if self._protocol == ISSUE_INFO_PROTOCOL else server.issue
        answering = Deferred.fromCoroutine(answer(far))  # type: ignore[arg-type]  # of a stream, what it needs
        await answering.addTimeout(self._seconds, self._peer.machine, _timed_out)
        return far.written

    def close(self) -> None:
        """Nothing is left open."""


class _FarEnd:
    """The same stream, as the server has it."""

    def __init__(self, peer: Peer, request: bytes) -> None:
        address = Multiaddr.parse(f"/ip4/{peer.address}/tcp/1")
        self.connection = SimpleNamespace(remote_peer=peer.peer_id, remote_address=address)
        self.written = b""
        self._request = request

    async def read(self) -> bytes:
        return self._request

    def write(self, message: bytes) -> None:
        self.written = message


def _timed_out(_: object, seconds: float) -> object:
    raise Timeout(f"no message within {seconds:g} seconds")
