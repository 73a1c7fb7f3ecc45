"""sslyze's judgement of our TLS listeners: whether they keep to Mozilla's "intermediate" configuration."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from nodetrust.issue.own.pages import BOUNDS, BodilessRequest, Pages
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.settings import HostPort
from nodetrust.web.listener import Guarded, WebListener, site_for
from tests.interop.harness import InteropTestCase, Program
from tests.libp2p.throwaway_ca import ThrowawayCa

reactor: Any = default_reactor

NAME = "localhost"


async def _nothing() -> dict[str, Any]:
    return {}


class SslyzeTests(InteropTestCase):
    """Versions, ciphers, groups, certificate, and what old attacks need: sslyze finds nothing to say."""

    async def judge(self, key: rsa.RSAPrivateKey | None) -> None:
        """Look at WSS, and at the issue server's HTTPS, with a certificate of this key, or else of a P-256 key."""
        ca, store = ThrowawayCa(), CertificateStore()
        store.set([NAME], *ca.issue([NAME], key))
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        secure = await host.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0/tls/ws"), store)
        site = site_for(reactor, Pages(Resource(), _nothing), BodilessRequest)
        guarded = Guarded(reactor, site, BOUNDS, store)
        https = WebListener(reactor, "https_listen", HostPort("127.0.0.1", 0), guarded)
        self.addCleanup(lambda: Deferred.fromCoroutine(https.stop()))
        root = Path(self.mktemp())
        root.write_bytes(ca.root_pem)
        places = [f"{NAME}:{port}" for port in (secure.get("tcp"), https.place.port)]
        look = Program("sslyze")
        look.spawn([self.tools.sslyze, f"--certinfo_ca_file={root}", *(f"{place}{{127.0.0.1}}" for place in places)])
        self.addCleanup(look.kill)
        await look.when_ended()
        self.assertEqual(0, look.status, look.printed())
        for place in places:
            self.assertIn(f"{place}: OK - Compliant.", look.printed())

    async def test_ecdsa(self) -> None:
        """With the key that `nodetrust obtain` makes by default."""
        await self.judge(None)

    async def test_rsa(self) -> None:
        """With an RSA key, for those who asked for one."""
        await self.judge(rsa.generate_private_key(65537, 2048))
