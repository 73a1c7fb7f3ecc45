"""Where a peer by AutoTLS is looked for."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.diagnosis.autotls_outside as outside_module
from nodetrust.certificates import make_key
from nodetrust.client.diagnosis.autotls_outside import Hints, Outside, address_of
from nodetrust.client.diagnosis.stored import Stored
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import ECDSA_P256
from nodetrust.names import autotls_wildcard
from nodetrust.settings import HostPort
from tests.client.examples import certificate, moment

DOMAIN = "libp2p.direct"
PEER = PrivateKey.generate().peer_id
PUBLIC, PRIVATE, BEFORE = map(ip_address, ("8.8.8.8", "10.1.2.3", "8.8.4.4"))
NAME = f"8-8-8-8.{PEER.to_cid_base36()}.{DOMAIN}"


def stored(*names: str) -> Stored:
    """The folder of a client that got its certificate elsewhere."""
    chain = certificate(make_key(ECDSA_P256), names, moment(1_800_000_000))
    return Stored(Path("nowhere"), chain, addresses=(BEFORE,))


class Host:
    """Without connections."""

    peer_id = PEER

    def connections(self) -> list[Any]:
        return []


class WhereTests(SynchronousTestCase):
    def where(self, *own: Any, **hints: Any) -> tuple[list[str], str]:
        self.patch(outside_module, "own_addresses", lambda: frozenset(own))
        given = {"stored": Stored(Path("nowhere")), "domain": DOMAIN, **hints}
        host: Any = Host()
        outside = Outside(Clock(), host, Hints(**given), None, ())
        found, source = self.successResultOf(Deferred.fromCoroutine(outside.where()))
        return list(map(str, found)), source

    def test_best_first(self) -> None:
        """What the user says, be it private, then this machine's own, then where the certificate was got."""
        certified = stored(autotls_wildcard(PEER, DOMAIN))
        announce = (Multiaddr.parse("/ip4/10.1.2.3/tcp/4001"), Multiaddr.parse("/dns4/a.example/tcp/4001"))
        wss = (HostPort("8.8.8.8", 443), HostPort("a.example", 443))
        found = self.where(BEFORE, stored=certified, announce=announce, wss=wss)
        self.assertEqual(found, (["10.1.2.3", "8.8.8.8"], "as you say"))
        self.assertEqual(self.where(PUBLIC, stored=certified), (["8.8.8.8"], "this machine's own"))
        self.assertEqual(self.where(PRIVATE, stored=certified), (["8.8.4.4"], "where it got its certificate"))
        self.assertEqual(self.where(PRIVATE, allow_private=True), (["10.1.2.3"], "this machine's own"))

    def test_nowhere(self) -> None:
        """A private address alone, and the certificate of another way."""
        self.assertEqual(self.where(PRIVATE, stored=stored("ip48-8-4-4.nt.example.org")), ([], ""))


class WssTests(SynchronousTestCase):
    def wss(self, *wss: HostPort, names: tuple[str, ...] = ()) -> list[str]:
        hints = Hints(stored(*names), DOMAIN, wss)
        return [str(one.without_peer_id()) for one in hints.wss_at([PUBLIC], PEER)]

    def test_of_a_client(self) -> None:
        """Both forms, if it has a certificate for them."""
        short, long = f"/dns4/{NAME}/tcp/4443/tls/ws", f"/ip4/8.8.8.8/tcp/4443/tls/sni/{NAME}/ws"
        self.assertEqual(self.wss(names=(autotls_wildcard(PEER, DOMAIN),)), [short, long])
        self.assertEqual(self.wss(names=("other.example",)), [])

    def test_of_a_place(self) -> None:
        """An address, an AutoTLS name, which spells one, and a name that does not."""
        for host in ("8.8.8.8", NAME):
            found = self.wss(HostPort(host, 443))
            expected = [f"/dns4/{NAME}/tcp/443/tls/ws", f"/ip4/8.8.8.8/tcp/443/tls/sni/{NAME}/ws"]
            self.assertEqual(found, expected)
        self.assertEqual(self.wss(HostPort("a.example", 443)), ["/dns4/a.example/tcp/443/tls/ws"])
        self.assertEqual(address_of("2606:4700::1"), ip_address("2606:4700::1"))
