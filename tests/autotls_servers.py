"""The servers on loopback with a broker of ours for their zone, and clients that order by AutoTLS."""

from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.names import client as dns_client
from twisted.names import dns

from nodetrust.autotls.service import AutoTlsService
from nodetrust.autotls.settings import AutoTlsSettings
from nodetrust.certificates import Chain
from nodetrust.client.settings import ClientSettings
from nodetrust.command.deployment import ZONE, full_addresses
from nodetrust.dns.settings import DnsSettings
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import autotls_wildcard
from nodetrust.own.files import OWN_FILE
from nodetrust.service import load_identity
from nodetrust.settings import HostPort, ZoneName, from_values
from nodetrust.testing.ca import CASettings
from nodetrust.testing.ca.db import Certificate, Order
from nodetrust.testing.ca.va import ValidationAuthority
from tests.servers import Servers, ServersTestCase

reactor: Any = default_reactor

REGISTRATION = f"registration.{ZONE}"

NOTHING = ["not set yet"]
"""What the DNS server answers where no challenge is set."""

_ZONE_FILE = """@ 60 SOA ns.elsewhere.test. hostmaster 1 3600 600 86400 60
@ 60 NS ns.elsewhere.test.
registration 60 A 127.0.0.1
"""
"""Nobody knows where its name server is, so that no client looks for it on this machine's own port 53."""


class _Undecided:
    async def check(self, name: str, value: str) -> None:
        await Deferred()


class AutoTlsServers(Servers):
    """With a broker, whose settings `changes["autotls"]` changes."""

    broker: AutoTlsService

    def __init__(self, folder: Path, ca_settings: CASettings | None = None) -> None:
        super().__init__(folder, ca_settings)
        self.changes["autotls"] = {}

    async def start_broker(self) -> None:
        """After the other servers; returns when it has its own certificate."""
        state = self.folder / "autotls"
        settings = {
            "zone": ZONE,
            "registration_name": REGISTRATION,
            "dns_servers": full_addresses(self.dns.host),
            "state": state,
            "https_listen": "127.0.0.1:0",
            "acme_directory": self.acme_directory,
            "acme_ca_file": self.ca.root_pem_path,
            "agree_to_terms": True,
            "allow_networks": "127.0.0.0/8",
        }
        values = {**settings, **self.changes["autotls"]}
        self.broker = await self._run(AutoTlsService(reactor, from_values(AutoTlsSettings, values)))
        while not (state / OWN_FILE).exists():
            await deferLater(reactor, 0.01)

    def dns_settings(self, issuer: PeerId) -> DnsSettings:
        """The broker is an admin as well."""
        broker = load_identity(self.folder / "autotls").peer_id
        zone_file = self.folder / "zone"
        zone_file.write_text(_ZONE_FILE)
        settings = replace(
            super().dns_settings(issuer),
            admins=(issuer, broker),
            zone_file=zone_file,
            challenge_names=(ZoneName(REGISTRATION),),
        )
        return replace(settings, **self.changes["dns"])

    def client_settings(self, number: int = 1) -> ClientSettings:
        """By the broker alone, unless an `issuer` is among the changes."""
        settings = replace(
            super().client_settings(number),
            issuer=(),
            broker=(self.broker_url,),
            domain=ZoneName(ZONE),
            acme_directory=self.acme_directory,
        )
        return replace(settings, **self.changes["client"])

    @property
    def broker_url(self) -> str:
        """By its name, at the port that it has."""
        return f"https://{REGISTRATION}:{self.broker.https[0].place.port}"

    def orders_of(self, peer: PeerId) -> list[Order]:
        """The AutoTLS orders that the CA has taken for a peer, oldest first."""
        names = (autotls_wildcard(peer, ZONE),)
        return [order for _, order in self.ca._database.orders.items() if order.names == names]

    def look_elsewhere(self, place: HostPort) -> None:
        """The CA asks another DNS server from now on."""
        self.ca._validation = ValidationAuthority(reactor, (place.host, place.port))

    def look_for_ever(self) -> None:
        """The CA comes to no end any more."""
        self.ca._validation = cast(ValidationAuthority, _Undecided())

    def revoke(self, chain: Chain) -> None:
        """The CA wants this certificate renewed at once."""
        certificate = self.ca._database.certificate_with(chain.leaf.serial_number)
        assert certificate is not None
        certificate.revoked = True

    def remember(self, chain: Chain, account_id: str) -> None:
        """The CA takes this certificate for one that it has issued to the account."""
        life = (chain.not_before.timestamp(), chain.not_after.timestamp())
        self.ca._database.certificates.add(Certificate(account_id, chain.full_pem, chain.leaf.serial_number, *life))

    async def texts(self, peer: PeerId) -> list[str]:
        """The TXT records at the peer's challenge name, by a real query."""
        resolver = dns_client.Resolver(servers=[(self.dns_place.host, self.dns_place.port)], reactor=reactor)
        name = autotls_wildcard(peer, ZONE).replace("*", "_acme-challenge")
        answers, _, _ = await resolver.query(dns.Query(name, dns.TXT), timeout=[5])
        return [record.payload.data[0].decode() for record in answers]


class AutoTlsTestCase(ServersTestCase):
    """Starts them, and stops them after the test."""

    async def start_all(self, ca_settings: CASettings | None = None, **changes: dict[str, Any]) -> AutoTlsServers:
        """Running servers, and the broker."""
        servers = AutoTlsServers(Path(self.mktemp()).absolute(), ca_settings)
        servers.changes.update(changes)
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.stop()))
        await servers.start_servers(lambda step: None)
        await servers.start_broker()
        return servers

    async def until_set(self, servers: AutoTlsServers, peer: PeerId, *, is_set: bool) -> None:
        """Return when the DNS answers with a challenge's value of the peer's, or with none."""
        while (await servers.texts(peer) != NOTHING) != is_set:
            await deferLater(reactor, 0.1)
