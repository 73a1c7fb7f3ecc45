"""All roles of nodetrust on loopback in one process, with a development CA: what `nodetrust demo` shows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredSemaphore, FirstError, gatherResults

from nodetrust.broker.settings import BrokerSettings
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

BROKER_NAME = f"autotls.{ZONE}"
"""Of the AutoTLS broker, which the issue server runs."""

ZONE_FILE = """@ 60 SOA ns.elsewhere.test. hostmaster 1 3600 600 86400 60
@ 60 NS ns.elsewhere.test.
issue 60 A 127.0.0.1
autotls 60 A 127.0.0.1
"""
"""An NS record has no port: with the real address, clients would ask whoever has port 53 here."""

LOOPBACK = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),)
WSS = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0/tls/ws"),)

CLIENTS_AT_ONCE = 4
"""All have one name, of 127.0.0.1, and the DNS server answers so many challenges for a name at most (8)."""

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
        self,
        reactor: Any,
        folder: Path,
        ca_settings: CASettings | None = None,
        *,
        clients: int = 1,
        page: bool = False,
        autotls: bool = False,
    ) -> None:
        """`clients` is how many `start` starts; with `page` the issue server has a name, and shows its page; with
        `autotls` it is an AutoTLS broker as well, and `start` starts one more client, which orders by it.
        """
        self.reactor = reactor
        self.folder = folder
        self.ca_settings = ca_settings
        self.clients: list[Client] = []
        self.autotls_client: Client | None = None
        self.dns_place: HostPort
        self.ca: DevelopmentCA
        self.acme_directory = ""
        self.dns: DnsService
        self.proof: ProofService
        self.issue: IssueService
        self._clients = clients
        self._page = page
        self._autotls = autotls
        self._started: list[Any] = []

    @property
    def client(self) -> Client:
        """The first of the clients."""
        return self.clients[0]

    @property
    def page_url(self) -> str | None:
        """Where the page is, if there is one and it has its certificate."""
        own = self.issue.own
        if not self._page or own is None or own.current is None:
            return None
        return f"https://{PAGE_NAME}:{own.https[0].place.port}/"

    @property
    def broker_url(self) -> str | None:
        """Where the AutoTLS broker is, if there is one."""
        own = self.issue.own
        if not self._autotls or own is None or own.current is None:
            return None
        return f"https://{BROKER_NAME}:{own.https[0].place.port}"

    async def start(self, step: Step) -> list[Obtained]:
        """Start everything in order, and return when WSS and the page are served; on failure call `stop` all the same.

        The certificates are those of the clients.
        """
        await self.start_servers(step)
        return await self._start_clients(step)

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
        """Several at once, for each waits for the CA."""
        room = DeferredSemaphore(CLIENTS_AT_ONCE)
        starting: list[Deferred[Any]] = [
            room.run(lambda: Deferred.fromCoroutine(self.start_client(step))) for _ in range(self._clients)
        ]
        starting.append(Deferred.fromCoroutine(self._start_what_needs_https(step)))
        try:
            *obtained, _ = await gatherResults(starting, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        return obtained

    async def _start_what_needs_https(self, step: Step) -> None:
        """The issue server's own certificate, and the client that asks the broker under that."""
        own = self.issue.own
        if own is None:
            return
        await own.certified
        step(f"the issue server has a certificate for its own {', '.join(own.names)}")
        if self._autotls:
            await self.start_autotls_client(step)

    async def start_client(self, step: Step) -> Obtained:
        """Start one more client, after the servers; returns when it serves WSS and has been reached there."""
        client = Client(self.reactor, self.client_settings(len(self.clients) + 1))
        self.clients.append(client)
        return await self._until_served(client, "it asks for proofs, then for a certificate", step)

    async def start_autotls_client(self, step: Step) -> Obtained:
        """Start the client that orders itself, with the broker's help, once the broker has its certificate."""
        self.autotls_client = client = Client(self.reactor, self.autotls_client_settings())
        return await self._until_served(client, f"it orders from the CA itself, with {self.broker_url}", step)

    async def _until_served(self, client: Client, how: str, step: Step) -> Obtained:
        await self._run(client)
        if client.host is not None:
            answer_hello(client.host)
        step(f"client {client.peer_id}; {how}")
        obtained = await client.certificate()
        await client.announced()
        step(f"certificate for {', '.join(sorted(obtained.chain.names))}")
        return obtained

    async def stop(self) -> None:
        """Stop what was started, last first."""
        while self._started:
            await self._started.pop().stop()

    async def visit(self, client: Client | None = None) -> Visit:
        """Be a second peer that knows the issue server alone: hear of a client (the first), dial its name, ping it."""
        options = dial_options(self.reactor, self.dns_place, self.ca.root_pem_path)
        host = Host(self.reactor, PrivateKey.generate(), **options)
        pubsub = start_pubsub(host, self.reactor)
        wanted = load_identity((client or self.client).settings.state).peer_id
        heard: Deferred[list[Multiaddr]] = Deferred()

        def found(peer: PeerId, addresses: list[Multiaddr]) -> None:
            if peer == wanted and not heard.called:
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
        autotls = self.autotls_client
        return {
            "zone": ZONE,
            "dns": str(self.dns_place),
            "issue": list(map(str, full_addresses(self.issue.host))),
            "proof": list(map(str, full_addresses(self.proof.host))),
            "client": list(map(str, full_addresses(self.client.host))),
            "clients": [list(map(str, full_addresses(client.host))) for client in self.clients],
            "page": self.page_url,
            "broker": self.broker_url,
            "autotls_client": [] if autotls is None else list(map(str, full_addresses(autotls.host))),
            "ca_root": str(self.ca.root_pem_path),
            "acme_directory": self.acme_directory,
        }

    async def _run(self, role: Any) -> Any:
        self._started.append(role)
        await role.start()
        return role

    def dns_settings(self, issuer: PeerId) -> DnsSettings:
        """The DNS server's settings; the issue server may set challenges."""
        own: dict[str, Any] = {}
        if self._page or self._autotls:
            names = (ZoneName(PAGE_NAME), ZoneName(BROKER_NAME))
            own = {"zone_file": self._zone_file(), "challenge_names": names}
        return DnsSettings(
            zone=ZoneName(ZONE),
            state=self.folder / "dns",
            listen=LOOPBACK,
            listen_dns=(HostPort("127.0.0.1", 0),),
            admins=(issuer,),
            **own,
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
        own: dict[str, Any] = {}
        if self._page:
            own |= {"own_names": (PAGE_NAME,), "wss_listen": WSS, "https_listen": (HostPort("127.0.0.1", 0),)}
        if self._autotls:
            own |= {"autotls": self.broker_settings(), "https_listen": (HostPort("127.0.0.1", 0),)}
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
            orders_per_address=0,  # one has all the clients
            require_nonce=False,
            trust_file=self.ca.root_pem_path,
            **own,
        )

    def broker_settings(self) -> BrokerSettings:
        """The settings of the broker in the issue server; it dials nobody but those who are here."""
        return BrokerSettings(
            registration_name=(BROKER_NAME,), allow_networks=("127.0.0.0/8",), nameserver=self.dns_place
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

    def autotls_client_settings(self) -> ClientSettings:
        """The settings of the client that orders by the broker first; the issue server dials it back."""
        url = self.broker_url
        if url is None:
            raise RuntimeError("the broker is asked before it is there")
        return replace(
            self.client_settings(),
            state=self.folder / "client-autotls",
            prefer="autotls",
            broker=(url,),
            domain=ZoneName(ZONE),
            acme_directory=self.acme_directory,
        )


def full_addresses(host: Host | None) -> list[Multiaddr]:
    """Where a host listens, with its /p2p; nothing for a role that has not started."""
    return [] if host is None else [address.with_peer_id(host.peer_id) for address in host.addresses()]
