"""Tests for nodetrust.libp2p.transports.certificates."""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.transports import CertificateError, CertificateStore
from nodetrust.libp2p.transports.certificates import ALPN, MAX_NAMES
from tests.libp2p.throwaway_ca import ThrowawayCa


class CertificateStoreTests(SynchronousTestCase):
    """Which certificate a name gets."""

    def setUp(self) -> None:
        self.ca = ThrowawayCa()
        self.store = CertificateStore()
        self.pair = self.ca.issue(["any.example"])

    def add(self, *names: str) -> None:
        self.store.set(names, *self.ca.issue(names))

    def shown_to(self, name: str | None, **client: object) -> tuple[set[str], bytes]:
        """The names in the certificate that a TLS client is shown, and the agreed protocol."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_alpn_protos([ALPN])
        for method, value in client.items():
            getattr(context, method)(value)
        dialer = SSL.Connection(context, None)
        if name is not None:
            dialer.set_tlsext_host_name(name.encode())
        dialer.set_connect_state()
        listener = self.store.serverConnectionForTLS(None)
        listener.set_accept_state()
        done: set[SSL.Connection] = set()
        while len(done) < 2:
            for here, there in ((dialer, listener), (listener, dialer)):
                try:
                    here.do_handshake()
                    done.add(here)
                except SSL.WantReadError:
                    pass
                with contextlib.suppress(SSL.WantReadError):
                    there.bio_write(here.bio_read(65536))
        certificate = dialer.get_peer_certificate(as_cryptography=True)
        [names] = [e.value for e in certificate.extensions if e.oid.dotted_string == "2.5.29.17"]
        return {general.value for general in names}, dialer.get_alpn_proto_negotiated()

    def test_names_of_long_ago(self) -> None:
        """They are forgotten when others need the room, the first that were set first."""
        names = [f"{number}.example" for number in range(MAX_NAMES + 2)]
        for name in names:
            self.store.set([name], *self.pair)
        self.assertEqual(self.store.names, frozenset(names[2:]))

    def test_by_name(self) -> None:
        """A name gets its own certificate, else the wildcard's above it, else the newest; letter case is no matter."""
        self.add("a.example")
        self.add("*.b.example")
        self.add("c.example")
        for asked, shown in (
            ("a.example", "a.example"),
            ("A.Example", "a.example"),
            ("x.b.example", "*.b.example"),
            ("x.y.b.example", "c.example"),
            ("b.example", "c.example"),
            (None, "c.example"),
        ):
            self.assertEqual(({shown}, ALPN), self.shown_to(asked), asked)
            self.assertEqual(asked is not None and shown != "c.example", self.store.covers(asked or ""))

    def test_replaced(self) -> None:
        """A later certificate for a name takes the place of the earlier one, and only for that name."""
        self.add("a.example", "b.example")
        self.add("a.example", "c.example")
        self.assertEqual({"a.example", "c.example"}, self.shown_to("a.example")[0])
        self.assertEqual({"a.example", "b.example"}, self.shown_to("b.example")[0])
        self.assertEqual({"a.example", "b.example", "c.example"}, self.store.names)

    def test_old_tls(self) -> None:
        """TLS below 1.2 is refused."""
        self.add("a.example")
        with self.assertRaises(SSL.Error):
            self.shown_to("a.example", set_max_proto_version=SSL.TLS1_1_VERSION, set_cipher_list=b"ALL:@SECLEVEL=0")

    def test_old_ciphers(self) -> None:
        """So are the ciphers and groups that Mozilla has struck off."""
        self.add("a.example")
        for method, value in (
            ("set_cipher_list", b"ECDHE-ECDSA-AES128-SHA"),
            ("set_tmp_ecdh", ec.SECP521R1()),
        ):
            with self.assertRaises(SSL.Error):
                self.shown_to("a.example", set_max_proto_version=SSL.TLS1_2_VERSION, **{method: value})

    def test_empty(self) -> None:
        """Without a certificate there is no handshake."""
        with self.assertRaises(SSL.Error):
            self.shown_to("a.example")

    def test_key_of_another(self) -> None:
        """A key that does not belong to the certificate, or garbage, is refused and changes nothing."""
        self.add("a.example")
        key, chain = self.ca.issue(["b.example"])
        other_key, _ = self.ca.issue(["b.example"])
        for bad in ((other_key, chain), (key, b""), (b"", chain), (chain, key)):
            with self.assertRaises(CertificateError):
                self.store.set(["b.example"], *bad)
        self.assertEqual({"a.example"}, self.store.names)
        self.assertEqual({"a.example"}, self.shown_to("b.example")[0])
