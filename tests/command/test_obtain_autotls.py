"""`nodetrust obtain --autotls` before our broker, our DNS server and the development CA."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodetrust.acme import ari_id
from nodetrust.certificates import Chain, make_key
from nodetrust.client.files import load, save
from nodetrust.client.obtain import Obtained
from nodetrust.command.deployment import ZONE
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import ECDSA_P256
from nodetrust.names import autotls_wildcard
from nodetrust.service import load_identity
from tests.autotls_servers import AutoTlsServers, AutoTlsTestCase
from tests.client.autotls.test_way import LIFE, signed
from tests.test_processes import NODETRUST, ProcessTestCase


class ReplacesTests(AutoTlsTestCase, ProcessTestCase):
    """What the CA hears of the certificate before (RFC 9773 §5)."""

    async def obtain(self, servers: AutoTlsServers, out: Path, *options: str) -> dict[str, Any]:
        """What the command tells of the certificate."""
        places = ("--broker", servers.broker_url, "--domain", ZONE, "--acme-directory", servers.acme_directory)
        here = ("--listen", "/ip4/127.0.0.1/tcp/0", "--allow-private", "--out", out, "--json")
        private = ("--nameserver", servers.dns_place, "--trust-file", servers.ca.root_pem_path)
        printed, err, status = await self.run_to_end(
            *NODETRUST, "obtain", "--autotls", *places, *here, *private, *options
        )
        self.assertEqual((err, status), ("", 0))
        told: dict[str, Any] = json.loads(printed)
        return told

    def stored(self, out: Path) -> Obtained:
        """The certificate in the folder."""
        obtained = load(out)
        assert obtained is not None
        return obtained

    def replaced(self, servers: AutoTlsServers, peer: PeerId) -> list[str | None]:
        """By each of the peer's orders."""
        return [order.replaces for order in servers.orders_of(peer)]

    async def test_a_renewal(self) -> None:
        """It names the certificate that it replaces; the first order names none."""
        servers = await self.start_all()
        out = servers.folder / "out"
        self.assertFalse((await self.obtain(servers, out))["from_cache"])
        peer = load_identity(out).peer_id
        first = self.stored(out).chain
        servers.revoke(first)
        self.assertFalse((await self.obtain(servers, out))["from_cache"])
        self.assertNotEqual(self.stored(out).chain.leaf, first.leaf)
        self.assertEqual(self.replaced(servers, peer), [None, ari_id(first.leaf_pem)])
        self.assertTrue((await self.obtain(servers, out))["from_cache"])
        self.assertEqual(len(self.replaced(servers, peer)), 2)

    async def test_an_expired_certificate(self) -> None:
        """It is not replaced, although the CA would have it, but there is another one."""
        servers = await self.start_all()
        out = servers.folder / "out"
        await self.obtain(servers, out)
        peer = load_identity(out).peer_id
        key = make_key(ECDSA_P256)
        expired = Chain(signed(key, autotls_wildcard(peer, ZONE), datetime.now(UTC) - 2 * LIFE), ())
        servers.remember(expired, servers.orders_of(peer)[0].account_id)
        save(out, Obtained(expired, key, (), from_cache=False))
        self.assertFalse((await self.obtain(servers, out))["from_cache"])
        self.assertNotEqual(self.stored(out).chain.leaf, expired.leaf)
        self.assertEqual(self.replaced(servers, peer), [None, None])
