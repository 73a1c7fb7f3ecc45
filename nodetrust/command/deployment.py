"""All roles of nodetrust on loopback in one process, with a development CA: what `nodetrust demo` shows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults

from nodetrust.client.client import Client
from nodetrust.client.obtain import Obtained
from nodetrust.client.settings import ClientSettings
from nodetrust.command.hello import answer_hello
from nodetrust.discovery import start_pubsub, watch
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.issue.service import IssueService
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.proof.service import ProofService
from nodetrust.proof.settings import ProofSettings
from nodetrust.service import dial_options, load_identity
from nodetrust.settings import HostPort, ZoneName
from nodetrust.testing.ca import CASettings, DevelopmentCA

ZONE = "nodetrust.test"
"""A name that no resolver will ever find outside: RFC 6761 §6.2."""

PAGE_NAME = f"issue.{ZONE}"
"""The issue server's own."""

ZONE_FILE = "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 127.0.0.1\nissue 60 A 127.0.0.1\n"

LOOPBACK = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),)
WSS = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0/tls/ws"),)

Step = Callable[[str], None]
"""Is told what has been reached, in words for a person."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What the second peer saw: the address that it was told over pubsub, and the round trip over verified TLS."""

    address: Multiaddr
    round_trip_seconds: float


class Deployment:
    """A DNS, a proof and an issue server, a development CA and clients, with all their state in one folder."""

    def __init__(
        self, reactor: Any, folder: Path, ca_settings: CASettings | None = None, *, clients: int = 1, page: bool = False
    ) -> None:
        """`clients` is how many `start` starts; with `page` the issue server has a name, and shows its page."""
        self.reactor = reactor
        self.folder = folder
        self.ca_settings = ca_settings
        self.clients: list[Client] = []
        self.dns_place: HostPort
        self.ca: DevelopmentCA
        self.acme_directory = ""
        self.dns: DnsService
        self.proof: ProofService
        self.issue: IssueService
        self._clients = clients
        self._page = page
        self._started: list[Any] = []

    @property
    def client(self) -> Client:
        """The first of the clients."""
        return self.clients[0]

    @property
    def page_url(self) -> str | None:
        """Where the page is, if there is one and it has its certificate."""
        own = self.issue.own
        if own is None or own.current is None or not own.https:
            return None
        return f"https://{PAGE_NAME}:{own.https[0].place.port}/"

    async def start(self, step: Step) -> list[Obtained]:
        """Start everything in order, and return when WSS and the page are served; on failure call `stop` all the same.

        The certificates are those of the clients.
        """
        await self.start_servers(step)
        obtained = await self._start_clients(step)
        if self._page and self.issue.own is not None:
            await self.issue.own.certified
            step(f"the issue server has a certificate for its own {PAGE_NAME}")
        return obtained

    async def start_servers(self, step: Step) -> None:
        """Start the CA and the three servers."""
        issuer = load_identity(self.folder / "issue").peer_id
        self.dns = await self._run(DnsService(self.reactor, self.dns_settings(issuer)))
        self.dns_place = HostPort.parse(self.dns.places[0])
        step(f"DNS server for {ZONE} on {self.dns_place}, UDP and TCP")
        dns = (self.dns_place.host, self.dns_place.port)
        self.ca = DevelopmentCA(self.reactor, self.folder / "ca", dns, settings=self.ca_settings)
        self._started.append(self.ca)
        self.acme_directory = await self.ca.start()
        step(f"development CA at {self.acme_directory}")
        self.proof = await self._run(ProofService(self.reactor, self.proof_settings()))
        step(f"proof server {full_addresses(self.proof.host)[0]}")
        self.issue = await self._run(IssueService(self.reactor, self.issue_settings()))
        step(f"issue server {full_addresses(self.issue.host)[0]}")

    async def _start_clients(self, step: Step) -> list[Obtained]:
        """All at once, for each waits for the CA."""
        starting = [Deferred.fromCoroutine(self.start_client(step)) for _ in range(self._clients)]
        try:
            return await gatherResults(starting, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()

    async def start_client(self, step: Step) -> Obtained:
        """Start one more client, after the servers; returns when it serves WSS and has been reached there."""
        client = Client(self.reactor, self.client_settings(len(self.clients) + 1))
        self.clients.append(client)
        await self._run(client)
        if client.host is not None:
            answer_hello(client.host)
        step(f"client {client.peer_id}; it asks for proofs, then for a certificate")
        obtained = await client.certificate()
        await client.announced()
        step(f"certificate for {', '.join(sorted(obtained.chain.names))}")
        return obtained

    async def stop(self) -> None:
        """Stop what was started, last first."""
        while self._started:
            await self._started.pop().stop()

    async def visit(self) -> Visit:
        """Be a second peer that knows the issue server alone: hear of the client, dial its name, ping it."""
        options = dial_options(self.reactor, self.dns_place, self.ca.root_pem_path)
        host = Host(self.reactor, PrivateKey.generate(), **options)
        pubsub = start_pubsub(host, self.reactor)
        client = load_identity(self.client.settings.state).peer_id
        heard: Deferred[list[Multiaddr]] = Deferred()

        def found(peer: PeerId, addresses: list[Multiaddr]) -> None:
            if peer == client and not heard.called:
                heard.callback(addresses)

        watch(pubsub, found)
        try:
            await host.connect(full_addresses(self.issue.host))
            addresses = await heard
            connection = await host.connect(addresses)
            seconds = await ping(connection, os.urandom(PING_BYTES), self.reactor)
            return Visit(addresses[0], seconds)
        finally:
            pubsub.stop()
            await host.stop()

    def describe(self) -> dict[str, Any]:
        """Where everything is, for other programs."""
        return {
            "zone": ZONE,
            "dns": str(self.dns_place),
            "issue": list(map(str, full_addresses(self.issue.host))),
            "proof": list(map(str, full_addresses(self.proof.host))),
            "client": list(map(str, full_addresses(self.client.host))),
            "clients": [list(map(str, full_addresses(client.host))) for client in self.clients],
            "page": self.page_url,
            "ca_root": str(self.ca.root_pem_path),
            "acme_directory": self.acme_directory,
        }

    async def _run(self, role: Any) -> Any:
        self._started.append(role)
        await role.start()
        return role

    def dns_settings(self, issuer: PeerId) -> DnsSettings:
        """The DNS server's settings; the issue server may set challenges."""
        page: dict[str, Any] = {}
        if self._page:
            page = {"zone_file": self._zone_file(), "challenge_names": (ZoneName(PAGE_NAME),)}
        return DnsSettings(
            zone=ZoneName(ZONE),
            state=self.folder / "dns",
            listen=LOOPBACK,
            listen_dns=(HostPort("127.0.0.1", 0),),
            admins=(issuer,),
            **page,
        )

    def _zone_file(self) -> Path:
        path = self.folder / "zone"
        path.write_text(ZONE_FILE)
        return path

    def proof_settings(self) -> ProofSettings:
        """The proof server's settings, once the CA runs."""
        return ProofSettings(
            state=self.folder / "proof", listen=LOOPBACK, allow_private=True, trust_file=self.ca.root_pem_path
        )

    def issue_settings(self) -> IssueSettings:
        """The issue server's settings, once DNS server, CA and proof server run."""
        page: dict[str, Any] = {}
        if self._page:
            page = {"own_names": (PAGE_NAME,), "wss_listen": WSS, "https_listen": (HostPort("127.0.0.1", 0),)}
        return IssueSettings(
            zone=ZoneName(ZONE),
            state=self.folder / "issue",
            listen=LOOPBACK,
            proof_servers=tuple(full_addresses(self.proof.host)),
            dns_servers=tuple(full_addresses(self.dns.host)),
            acme_directory=self.acme_directory,
            acme_ca_file=self.ca.root_pem_path,
            agree_to_terms=True,
            allow_private=True,
            require_nonce=False,
            trust_file=self.ca.root_pem_path,
            **page,
        )

    def client_settings(self, number: int = 1) -> ClientSettings:
        """The settings of one of the clients, counted from 1, once the issue server runs."""
        return ClientSettings(
            state=self.folder / ("client" if number == 1 else f"client-{number}"),
            listen=LOOPBACK,
            wss_listen=WSS,
            issuer=tuple(full_addresses(self.issue.host)),
            announce_seconds=1.0,
            allow_private=True,
            map_ports=False,
            nameserver=self.dns_place,
            trust_file=self.ca.root_pem_path,
        )


def full_addresses(host: Host | None) -> list[Multiaddr]:
    """Where a host listens, with its /p2p; nothing for a role that has not started."""
    return [] if host is None else [address.with_peer_id(host.peer_id) for address in host.addresses()]
