"""Kubo with AutoTLS pointed at us: it gets certificates, keeps and renews them, and is dialled over WSS."""

import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.libp2p.peer_id import PeerId
from tests.interop.forge import NAME_SERVER, NODE, SERVERS, ZONE, Forge
from tests.interop.harness import InteropTestCase, Peer
from tests.interop.test_twistd import ENVIRONMENT
from tests.interop.toolchain import require_kubo, require_router
from tests.kubo.node import PORT, Kubo

METRICS_PORT = 9154
TOKEN = "only-for-friends"
"""As in the guide."""

DUE_SECONDS = 1800
"""A life that makes a certificate due from the first second on: in Kubo, certmagic wants fifty minutes to be left, five
times the ten between its looks, and looks when the daemon starts."""


class KuboTests(InteropTestCase):
    timeout = 600

    def setUp(self) -> None:
        kubo = require_kubo()
        super().setUp()
        require_router()
        self.forge = Forge(Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.forge.stop()))
        self.kubo = Kubo(self.forge, kubo)

    async def start_forge(self, **settings: Any) -> None:
        """The servers; then a repository for Kubo, set up for them."""
        await self.forge.start(self.tools.pebble, metrics_listen=f"{SERVERS}:{METRICS_PORT}", **settings)
        await self.kubo.initialize()

    async def test_certificate(self) -> None:
        """A certificate for the node's names, at a short address, where js-libp2p and ours dial it over WSS; then a
        daemon that is restarted serves the same one, and asks nobody.
        """
        await self.start_forge()
        await self.kubo.start()
        address = await self.kubo.announced()
        self.assertEqual(address, f"/dns4/{self.name}/tcp/{PORT}/tls/ws/p2p/{self.kubo.peer_id}")
        certificate = await self.served()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), [f"*.{self.label}.{ZONE}"])
        await self.assert_dialled(address)
        registrations = await self.registrations()
        await self.kubo.stop()
        await self.kubo.start()
        self.assertEqual(await self.kubo.announced(), address)
        self.assertEqual((await self.served()).serial_number, certificate.serial_number)
        await self.assert_dialled(address)
        self.assertEqual(await self.registrations(), registrations)
        self.assertNotIn("renewing certificate", self.kubo.daemon.printed())

    async def test_renewal(self) -> None:
        """A daemon that is restarted when its certificate is due gets another one through the broker, and serves it."""
        await self.start_forge(life_seconds=DUE_SECONDS)
        await self.kubo.start()
        await self.kubo.announced()
        first, registrations = await self.served(), await self.registrations()
        await self.kubo.stop()
        await self.kubo.start()
        await self.kubo.daemon.logged("(replaced certificate in cache)")
        self.assertNotEqual((await self.served()).serial_number, first.serial_number)
        self.assertEqual(await self.registrations(), registrations + 1)
        await self.assert_dialled(await self.kubo.announced())

    async def test_long_address(self) -> None:
        """With AutoTLS.ShortAddrs off the address has the IP address, too, and is dialled as well."""
        await self.start_forge()
        await self.kubo.set_up("ShortAddrs")
        await self.kubo.start()
        address = await self.kubo.announced()
        self.assertEqual(address, f"/ip4/{NODE}/tcp/{PORT}/tls/sni/{self.name}/ws/p2p/{self.kubo.peer_id}")
        await self.assert_dialled(address)

    async def test_access_token(self) -> None:
        """Where the broker asks for a token, a node without it is refused and says so; with it, it is served."""
        file = self.forge.folder / "token"
        file.write_text(TOKEN)
        await self.start_forge(access_token_file=str(file))
        await self.kubo.start()
        await self.kubo.daemon.logged("(Missing Forge-Authorization header)")
        await self.kubo.stop()
        await self.kubo.set_up("RegistrationToken")
        await self.kubo.start()
        await self.assert_dialled(await self.kubo.announced())

    @property
    def label(self) -> str:
        """The node's in the zone."""
        return PeerId.parse(self.kubo.peer_id).to_cid_base36()

    @property
    def name(self) -> str:
        """The one that leads to the node."""
        return f"{NODE.replace('.', '-')}.{self.label}.{ZONE}"

    async def served(self) -> x509.Certificate:
        """The certificate that the node shows to the visitor."""
        where = (NODE, str(PORT), self.name, str(self.forge.folder / "root.pem"))
        return x509.load_pem_x509_certificate((await self.look("visitor", "certificate", *where)).encode())

    async def registrations(self) -> int:
        """How often the broker has dialled a Kubo, and met it."""
        page = await self.look("servers", "page", f"http://{SERVERS}:{METRICS_PORT}/metrics")
        counted = 'coredns_forge_acme_libp2p_probe_total{agent="kubo",result="ok"}'
        (value,) = (line.removeprefix(counted) for line in page.splitlines() if line.startswith(counted))
        return int(float(value))

    async def look(self, which: str, *arguments: str) -> str:
        """Run `look.py` at a host."""
        command = self.forge.hosts.at(which, sys.executable, "-m", "tests.kubo.look", *arguments)
        program, *rest = map(str, command)
        out, err, status = await getProcessOutputAndValue(program, rest, ENVIRONMENT)
        self.assertEqual(status, 0, err.decode())
        return str(out.decode())

    async def assert_dialled(self, address: str) -> None:
        """js-libp2p and ours, at another host, dial the node there and ping it."""
        visitor = Peer("js")
        environment = {"NODE_EXTRA_CA_CERTS": str(self.forge.roots)}
        self.forge.run(visitor, "visitor", [self.tools.node, self.tools.js / "peer.mjs"], environment)
        await visitor.start(nameServer=NAME_SERVER)
        dialled = await visitor.command("dial", addr=address)
        self.assertEqual((dialled["peer"], dialled["address"]), (self.kubo.peer_id, address))
        await visitor.command("ping", peer=self.kubo.peer_id)
        await visitor.stop()
        self.assertEqual(await self.forge.dial(address), self.kubo.peer_id)
