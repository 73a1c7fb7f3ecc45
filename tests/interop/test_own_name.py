"""The issue server's own name with a certificate of Pebble's: dialled by name, renewed under open connections."""

from collections.abc import Sequence
from pathlib import Path
from ssl import get_server_certificate
from typing import Any

from cryptography import x509
from msgspec.structs import replace
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from nodetrust.dns.settings import DnsSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.service import dial_options
from nodetrust.settings import HostPort, ZoneName
from tests.interop.roles import SECURE_WEB_SOCKET, ZONE, Roles
from tests.interop.test_end_to_end import LOOK_AGAIN_SECONDS, PebbleTestCase

reactor: Any = default_reactor

NAME = f"issue.{ZONE}"
ZONE_FILE = "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 127.0.0.1\nissue 60 A 127.0.0.1\n"


class NamedRoles(Roles):
    """The zone has a host `issue`, for which challenges may be set."""

    def _dns_settings(self, issuers: Sequence[str]) -> DnsSettings:
        zone_file = self.folder / "zone"
        zone_file.parent.mkdir(parents=True, exist_ok=True)
        zone_file.write_text(ZONE_FILE)
        return replace(super()._dns_settings(issuers), zone_file=zone_file, challenge_names=(ZoneName(NAME),))


class OwnNameTests(PebbleTestCase):
    """WSS and HTTPS of the issue server."""

    async def test_renewed_under_open_connections(self) -> None:
        """On a profile of one minute: nobody is dropped, and who comes then sees the new certificate."""
        roles: Any = NamedRoles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(roles.stop()))
        await roles.start_servers(
            acme_profile="minute",
            own_names=(NAME,),
            wss_listen=SECURE_WEB_SOCKET,
            https_listen=(HostPort("127.0.0.1", 0),),
        )
        own = roles.issue.own
        first = await self.other_than(own, None)
        self.check_chain(roles, first.full_pem, {NAME})
        connection = await self.dial(roles)
        js = await self.start_js(extra_roots=roles.root_file, nameServer=str(roles.name_server))
        await js.command("dial", addr=str(self.address(roles)))
        second = await self.other_than(own, first)
        self.assertGreater(second.not_after, first.not_after)
        await ping(connection, b"p" * PING_BYTES, reactor)
        await ping(await self.dial(roles), b"p" * PING_BYTES, reactor)
        await js.command("ping", peer=str(roles.issue.host.peer_id))
        self.assertEqual(len((await js.command("connections"))["connections"]), 1)
        for port in (int(own.wss_listening[0].get("tcp")), own.https[0].place.port):
            served = await deferToThread(get_server_certificate, ("127.0.0.1", port))
            self.assertEqual(x509.load_pem_x509_certificate(served.encode()), second.leaf)
        self.assertFalse(connection.closed)

    async def other_than(self, own: Any, chain: Any) -> Any:
        """The first certificate that is another one."""
        while own.current is None or own.current.chain is chain:
            await deferLater(reactor, LOOK_AGAIN_SECONDS)
        return own.current.chain

    async def dial(self, roles: Any) -> Any:
        """A connection over WSS by name, with the certificate verified."""
        host = Host(reactor, PrivateKey.generate(), **dial_options(reactor, roles.name_server, roles.root_file))
        self.addCleanup(host.stop)
        return await host.connect([self.address(roles)])

    def address(self, roles: Any) -> Multiaddr:
        """The one that browsers can dial, as the issue server tells it."""
        address: Multiaddr
        (address,) = (one for one in roles.issue.host.addresses() if one.has("ws"))
        self.assertEqual(address.get("dns"), NAME)
        return address.with_peer_id(roles.issue.host.peer_id)
