"""The servers of nodetrust on loopback with the development CA, and a peer that asks them by hand."""

import socket
import sqlite3
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.names import client as dns_client
from twisted.names.error import DNSNameError
from twisted.trial.unittest import TestCase

from nodetrust.certificates import make_csr, make_key
from nodetrust.client.client import Client
from nodetrust.client.settings import ClientSettings
from nodetrust.command.deployment import ZONE, Deployment, full_addresses
from nodetrust.dns.settings import DnsSettings
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import (
    ECDSA_P256,
    ISSUE_PROTOCOL,
    MAX_ISSUE_RESPONSE_BYTES,
    IssueRequest,
    IssueResponse,
    ProofWrapper,
)
from nodetrust.names import name_for_address, name_for_peer
from nodetrust.proofs import make_proof
from nodetrust.testing.ca import CASettings

reactor: Any = default_reactor

LOOPBACK = ip_address("127.0.0.1")
LOOPBACK_NAME = name_for_address(LOOPBACK, ZONE)
ANSWER_SECONDS = 60.0


class Servers(Deployment):
    """A deployment whose settings can be changed before it starts."""

    def __init__(self, folder: Path, ca_settings: CASettings | None = None) -> None:
        super().__init__(reactor, folder, ca_settings)
        self.changes: dict[str, dict[str, Any]] = {"dns": {}, "issue": {}, "client": {}}

    def dns_settings(self, issuer: PeerId) -> DnsSettings:
        return replace(super().dns_settings(issuer), **self.changes["dns"])

    def issue_settings(self) -> IssueSettings:
        return replace(super().issue_settings(), **self.changes["issue"])

    def client_settings(self, number: int = 1) -> ClientSettings:
        return replace(super().client_settings(number), **self.changes["client"])

    @property
    def orders(self) -> int:
        """How many orders the CA has taken."""
        return len(self.ca._database.orders._records)

    @property
    def accounts(self) -> int:
        """How many accounts the CA has."""
        return len(self.ca._database.accounts._records)

    @property
    def open_orders(self) -> int:
        """How many orders the issue server is working on."""
        assert self.issue.orders is not None
        return len(self.issue.orders._open)

    def stored_certificates(self) -> int:
        """How many certificates the issue server's store has."""
        with sqlite3.connect(self.folder / "issue" / "store.sqlite") as store:
            return int(store.execute("SELECT count(*) FROM certificates").fetchone()[0])

    async def challenges(self, name: str) -> int:
        """How many ACME challenges the DNS server answers for a name."""
        resolver = dns_client.Resolver(servers=[(self.dns_place.host, self.dns_place.port)], reactor=reactor)
        try:
            answers, _, _ = await resolver.lookupText(f"_acme-challenge.{name}")
        except DNSNameError:
            return 0
        return len(answers)


class Peer:
    """A libp2p peer with a connection to the issue server, that makes its proofs with any key it likes."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.host = Host(reactor, PrivateKey.generate())
        self.peer_id = self.host.peer_id
        self.own_name = name_for_peer(self.peer_id, ZONE)
        self.key = make_key(ECDSA_P256)
        self._last_proof_ms = 0

    def proof(self, *addresses: Any, key: PrivateKey | None = None, **changes: Any) -> ProofWrapper:
        """What the proof server would say, but for the changes; no two are the same, for each counts once."""
        self._last_proof_ms = max(self._last_proof_ms + 1, int(time.time() * 1000))
        assert self.servers.proof.host is not None
        return make_proof(
            key or self.servers.proof.host.key,
            changes.get("peer_id", self.peer_id),
            addresses or [LOOPBACK],
            changes.get("now_ms", self._last_proof_ms),
        )

    def request(self, names: Any = None, **changes: Any) -> IssueRequest:
        """A request that is right, but for the changes."""
        fields = {
            "proofs": [self.proof()],
            "supportedCryptos": [ECDSA_P256],
            "csr": make_csr(self.key, names or [LOOPBACK_NAME, self.own_name]),
        }
        return IssueRequest(**{**fields, **changes})

    async def connect(self) -> None:
        """Dial the issue server."""
        await self.host.connect(full_addresses(self.servers.issue.host))

    async def ask(self, request: IssueRequest) -> IssueResponse:
        """Send a request on the one connection, and return the response."""
        return IssueResponse.FromString(await self.ask_bytes(request.SerializeToString()))

    async def ask_bytes(self, message: bytes) -> bytes:
        issuer = self.servers.issue.host
        assert issuer is not None
        stream = await self.host.open_messages(
            issuer.peer_id, [ISSUE_PROTOCOL], MAX_ISSUE_RESPONSE_BYTES, ANSWER_SECONDS
        )
        stream.write(message)
        try:
            return await stream.read()
        finally:
            stream.close()


class ServersTestCase(TestCase):
    """Starts servers, peers and clients, and stops them after the test."""

    timeout = 600
    """Ends a test that hangs; one that runs dozens of programs takes half a minute, or four on a slow, busy machine."""

    def prepare(self, ca_settings: CASettings | None = None, **changes: dict[str, Any]) -> Servers:
        """Servers that have yet to start, with changes to settings by role."""
        servers = Servers(Path(self.mktemp()).absolute(), ca_settings)
        servers.changes.update(changes)
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.stop()))
        return servers

    async def start(self, ca_settings: CASettings | None = None, **changes: dict[str, Any]) -> Servers:
        """Running servers."""
        servers = self.prepare(ca_settings, **changes)
        await servers.start_servers(lambda step: None)
        return servers

    async def connected_peer(self, servers: Servers) -> Peer:
        """A peer with a connection to the issue server."""
        peer = Peer(servers)
        self.addCleanup(peer.host.stop)
        await peer.connect()
        return peer

    async def client(self, servers: Servers) -> Client:
        """A client that has been started; it may have no certificate yet."""
        client = Client(reactor, servers.client_settings())
        self.addCleanup(client.stop)
        await client.start()
        return client

    def unused_port(self) -> int:
        """A port on which nobody listens, for as long as this test runs: it is bound."""
        bound = socket.socket()
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
