"""A broker, a DNS server and a node on loopback, and a client that asks the broker by hand."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.names import client as dns_client
from twisted.names import dns
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from nodetrust.autotls.service import AutoTlsService
from nodetrust.autotls.settings import AutoTlsSettings
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.peer_auth import ClientHandshake, Token, challenge_of
from nodetrust.service import KEY_FILE
from nodetrust.settings import HostPort, ZoneName, from_values

reactor: Any = default_reactor

ZONE = "auto.test"
NAME = "registration.auto.test"
TCP = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")
WS = Multiaddr.parse("/ip4/127.0.0.1/tcp/0/ws")
SECONDS = 30.0


@dataclass
class Answer:
    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> list[str]:
        return self.headers.get(name.lower(), [])


class _Reader(Protocol):
    """Everything until the end."""

    def __init__(self) -> None:
        self.received = b""
        self.ended: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(self.received)


async def open_connection(place: HostPort, request: bytes) -> Any:
    """A connection on which these bytes were sent."""
    reader: Any = await HostnameEndpoint(reactor, place.host, place.port).connect(Factory.forProtocol(_Reader))
    reader.transport.write(request)
    return reader


async def send_raw(place: HostPort, request: bytes) -> bytes:
    """All that is answered to these bytes."""
    reader = await open_connection(place, request)
    received: bytes = await reader.ended.addTimeout(SECONDS, reactor)
    return received


async def send(
    place: HostPort,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes | None = None,
    before: bytes = b"",
) -> Answer:
    """One request on a connection of its own."""
    length = [] if body is None else [("Content-Length", str(len(body)))]
    lines = [f"{name}: {value}" for name, value in [*headers, *length, ("Connection", "close")]]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""])
    received = await send_raw(place, before + head.encode("latin-1") + (body or b""))
    first, _, content = received.partition(b"\r\n\r\n")
    if not first:
        raise AssertionError("the connection ended without an answer")
    status, *rest = first.decode("latin-1").split("\r\n")
    found: dict[str, list[str]] = {}
    for line in rest:
        name, _, value = line.partition(": ")
        found.setdefault(name.lower(), []).append(value)
    return Answer(int(status.split()[1]), found, content)


def value_of(text: str) -> str:
    """A TXT value."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@dataclass
class Asker:
    """A node's HTTP side."""

    place: HostPort
    key: PrivateKey
    host: str = NAME
    token: Token | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    requests: int = 0
    before: bytes = b""

    async def ask(self, method: str, path: str = "/v1/_acme-challenge", body: bytes | None = None) -> Answer:
        """The answer to the real request."""
        handshake = ClientHandshake(self.key, self.host, challenge_of(os.urandom(32)), self.token)
        while True:
            self.requests += 1
            headers = [("Host", self.host), ("Authorization", handshake.authorization), *self.headers]
            real = handshake.sends_body
            answer = await send(
                self.place, method if real else "OPTIONS", path, headers, body if real else None, self.before
            )
            if handshake.receive(
                answer.status, answer.header("WWW-Authenticate"), answer.header("Authentication-Info")
            ):
                self.token = handshake.token
                return answer

    async def register(self, value: str, *addresses: object, **more: object) -> Answer:
        """A registration."""
        body = {"value": value, "addresses": [str(one) for one in addresses], **more}
        return await self.ask("POST", body=json.dumps(body).encode())


def place_of(broker: AutoTlsService) -> HostPort:
    """Where it answers HTTP."""
    assert broker.broker is not None
    return broker.broker.http[0].place


class SiteTestCase(TestCase):
    """Starts what a test needs, and stops it in the end."""

    timeout = 600

    def folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()

    async def run_role(self, role: Any) -> Any:
        self.addCleanup(lambda: Deferred.fromCoroutine(role.stop()))
        await role.start()
        return role

    async def start_dns(self, *brokers: str) -> DnsService:
        admins = tuple(load_or_create(self.folder(one) / KEY_FILE).peer_id for one in brokers or ("broker",))
        settings = DnsSettings(
            zone=ZoneName(ZONE),
            state=self.folder("dns"),
            listen=(TCP,),
            listen_dns=(HostPort("127.0.0.1", 0),),
            admins=admins,
        )
        dns: DnsService = await self.run_role(DnsService(reactor, settings))
        self.dns = dns
        return dns

    def broker_settings(self, name: str = "broker", **changes: Any) -> AutoTlsSettings:
        assert self.dns.host is not None
        addresses = tuple(one.with_peer_id(self.dns.host.peer_id) for one in self.dns.host.addresses())
        given: dict[str, Any] = {
            "zone": ZoneName(ZONE),
            "registration_name": (NAME,),
            "dns_servers": addresses,
            "state": self.folder(name),
            "external_tls": (HostPort("127.0.0.1", 0),),
            "allow_networks": ("127.0.0.0/8",),
        }
        return from_values(AutoTlsSettings, {**given, **changes})

    async def start_broker(self, name: str = "broker", **changes: Any) -> AutoTlsService:
        broker: AutoTlsService = await self.run_role(AutoTlsService(reactor, self.broker_settings(name, **changes)))
        return broker

    async def start_node(self, *listen: Multiaddr) -> Host:
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        for address in listen or (TCP,):
            await host.listen(address)
        return host

    def asker(self, broker: AutoTlsService, host: Host) -> Asker:
        return Asker(place_of(broker), host.key)

    async def texts(self, host: Host) -> list[str]:
        """The TXT records at the node's name, by a real query."""
        place = HostPort.parse(self.dns.places[0])
        resolver = dns_client.Resolver(servers=[(place.host, place.port)], reactor=reactor)
        name = f"_acme-challenge.{host.peer_id.to_cid_base36()}.{ZONE}"
        answers, _, _ = await resolver.query(dns.Query(name, dns.TXT), timeout=[5])
        return [record.payload.data[0].decode() for record in answers]
