"""Orders on a real store, with CAs and DNS servers that do as the test says, and a clock that it moves."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from nodetrust.acme import Dns01Record, IssuedCertificate
from nodetrust.acme.certificate import IssuedCertificate as Issued
from nodetrust.certificates import make_csr, make_key
from nodetrust.issue.authorities.authority import Authority
from nodetrust.issue.decide import Order
from nodetrust.issue.keys import read_csr
from nodetrust.issue.orders import Orders, steps
from nodetrust.issue.orders.tools import Tools
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import ECDSA_P256, IssueResponse
from nodetrust.names import name_for_address, name_for_peer
from nodetrust.settings import ZoneName
from nodetrust.store import Store, StoredAccount

reactor: Any = default_reactor

ZONE = "nodetrust.test"
FIRST, SECOND = "https://first.example/dir", "https://second.example/dir"
LIFE = timedelta(days=90)
_SIGNING_KEY = ec.generate_private_key(ec.SECP256R1())


class MovableReactor:
    """The reactor, whose time of day can be moved; timers run by the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def seconds(self) -> float:
        return float(reactor.seconds() + self.ahead)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class FakeDns:
    """DNS servers that remember what is published; `failure` is raised instead."""

    def __init__(self) -> None:
        self.published: set[tuple[str, str]] = set()
        self.failure: Exception | None = None

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def publish(self, challenges: Sequence[tuple[str, str]]) -> None:
        self.check()
        self.published.update(challenges)

    async def withdraw(self, challenges: Sequence[tuple[str, str]]) -> None:
        self.published.difference_update(challenges)

    def owes(self, challenges: Sequence[tuple[str, str]]) -> bool:
        return False


class FakeCa:
    """A client at a CA that signs at once. Each step first does what stands in `script` for it, if anything does.

    `asked` are the steps in order; `orders` the URLs of those that it has, and the key that each was finalized with.
    """

    def __init__(self, clock: MovableReactor, directory_url: str) -> None:
        self.clock = clock
        self.directory_url = directory_url
        self.account_url: str | None = f"{directory_url}/account"
        self.asked: list[str] = []
        self.orders: dict[str, tuple[tuple[str, ...], str | None, bytes | None]] = {}
        self.script: dict[str, Callable[[], Any]] = {}

    async def step(self, name: str) -> None:
        self.asked.append(name)
        if name in self.script:
            result = self.script[name]()
            if isinstance(result, Exception):
                raise result
            if isinstance(result, Deferred):
                await result

    async def directory(self, deadline: Any) -> None:
        await self.step("directory")

    async def new_order(self, names: Any, deadline: Any, *, profile: Any, replaces: str | None) -> Any:
        await self.step("new_order")
        url = f"{self.directory_url}/{len(self.orders)}"
        self.orders[url] = (tuple(names), replaces, None)
        await self.step("ordered")
        return SimpleNamespace(url=url)

    async def find_order(self, names: Any, deadline: Any) -> Any:
        await self.step("find_order")
        for url, (found, _, key) in self.orders.items():
            if found == tuple(names) and key is None:
                return SimpleNamespace(url=url)
        return None

    async def close(self) -> None:
        pass


async def fake_complete(
    client: FakeCa, order: Any, names: Any, csr_der: bytes, *, publish: Any, withdraw: Any, **_: Any
) -> Issued:
    """As `acme.complete`."""
    url = order if isinstance(order, str) else order.url
    await client.step("complete")
    records = [Dns01Record(name, hashlib.sha256(name.encode()).hexdigest()) for name in names]
    try:
        await publish(records)
        await client.step("validate")
    finally:
        await withdraw(records)
    found, replaces, _ = client.orders[url]
    client.orders[url] = (found, replaces, csr_der)
    await client.step("download")
    return sign(csr_der, datetime.fromtimestamp(client.clock.seconds(), UTC))


def sign(csr_der: bytes, now: datetime) -> IssuedCertificate:
    """A certificate for the CSR."""
    csr = x509.load_der_x509_csr(csr_der)
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    not_before = now.replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Fake")]))
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + LIFE)
        .add_extension(names.value, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(_SIGNING_KEY.public_key()),
            critical=False,
        )
        .sign(_SIGNING_KEY, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    return IssuedCertificate(
        pem, b"", tuple(names.value.get_values_for_type(x509.DNSName)), not_before, not_before + LIFE
    )


class Peer:
    """Somebody who orders; each has an address of its own."""

    count = 0

    def __init__(self) -> None:
        Peer.count += 1
        self.peer_id = PrivateKey.generate().peer_id
        self.address = ip_address(0x0B000000 + Peer.count)
        self.names = tuple(sorted([name_for_address(self.address, ZONE), name_for_peer(self.peer_id, ZONE)]))
        self.new_key()

    def new_key(self) -> None:
        self.csr = read_csr(make_csr(make_key(ECDSA_P256), self.names), [ECDSA_P256])

    def order(self, *, with_csr: bool = True) -> Order:
        """What `decide` allows."""
        csr = self.csr if with_csr else None
        return Order(self.peer_id, self.names, (self.address,), ECDSA_P256, csr, name_for_peer(self.peer_id, ZONE))


class OrdersTestCase(TestCase):
    """Two CAs, the first is preferred."""

    timeout = 120

    def setUp(self) -> None:
        self.clock = MovableReactor()
        self.dns = FakeDns()
        self.first, self.second = FakeCa(self.clock, FIRST), FakeCa(self.clock, SECOND)
        self.url = f"sqlite:///{Path(self.mktemp()).absolute()}"
        self.server = PrivateKey.generate().peer_id
        patching = patch.object(steps, "complete", fake_complete)
        patching.start()
        self.addCleanup(patching.stop)

    async def opened(self, *cas: FakeCa, **changes: Any) -> Orders:
        """Orders of a new life on the same store; `changes` to the settings, and to those of each CA as `ca_…`."""
        store = await Store.open(reactor, self.url)
        self.store = store
        of_ca = {name.removeprefix("ca_"): changes.pop(name) for name in list(changes) if name.startswith("ca_")}
        clients = cas or (self.first, self.second)
        settings = IssueSettings(
            zone=ZoneName(ZONE),
            proof_servers=(Multiaddr.parse("/ip4/127.0.0.1/tcp/1"),),
            dns_servers=(Multiaddr.parse("/ip4/127.0.0.1/tcp/1"),),
            ca=tuple(CaSettings(directory=client.directory_url, **of_ca) for client in clients),
            **changes,
        )
        authorities = []
        for client, ca in zip(clients, settings.ca, strict=True):
            account = StoredAccount(client.directory_url, b"", client.account_url)
            fake: Any = client
            authority = Authority(ca, fake, account, store)
            await authority.recall()
            authorities.append(authority)
        clock: Any = self.clock
        orders = Orders(Tools(clock, settings, store, self.dns, authorities, Peer().peer_id.multihash), self.server)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end(orders, store)))
        await orders._upkeep.start()
        return orders

    async def end(self, orders: Orders, store: Store) -> None:
        """A clean stop."""
        await orders.give_up()
        await orders.close()
        await store.close()

    def ask(self, orders: Orders, order: Order) -> "Deferred[IssueResponse]":
        """Begin to ask."""
        return Deferred.fromCoroutine(orders.fulfil(order))

    async def turn(self) -> None:
        """Let the reactor go round."""
        turned: Deferred[None] = Deferred()
        reactor.callLater(0.001, turned.callback, None)
        await turned
