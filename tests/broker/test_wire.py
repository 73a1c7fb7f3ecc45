"""Bodies, and where a request comes from."""

import contextlib
import json
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.broker.errors import Refusal, Tried
from nodetrust.broker.sources import MAX_HOPS, client_first
from nodetrust.broker.wire import Registration, read_registration, refusal_json
from tests.autotls.site import value_of

VALUE = value_of("x")
ADDRESS = "/ip4/1.2.3.4/tcp/4001"


class BodyTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Keys in any case, as go's decoder takes them; no addresses is no error here."""
        for keys in (("value", "addresses"), ("Value", "Addresses"), ("VALUE", "aDDresses")):
            body = json.dumps({keys[0]: VALUE, keys[1]: [ADDRESS]}).encode()
            self.assertEqual(read_registration(body), Registration(VALUE, (ADDRESS,)))
        for body in ({"value": VALUE}, {"value": VALUE, "addresses": None}):
            self.assertEqual(read_registration(json.dumps(body).encode()), Registration(VALUE, ()))

    def test_refused(self) -> None:
        """In p2p-forge's words."""
        for begin, body in (
            ("error decoding body: ", b""),
            ("error decoding body: ", b"{"),
            ("error decoding body: ", b"[]"),
            ("error decoding body: ", b'"x"'),
            ("error decoding body: ", b"\xff\xfe"),
            ("error decoding body: ", b"[" * 20_000),
            ("error decoding body: ", b'{"value": ' + b"9" * 5000 + b"}"),
            ("error decoding body: ", json.dumps({"value": VALUE, "addresses": [], "more": 1}).encode()),
            ("error decoding body: ", json.dumps({"value": 7, "addresses": []}).encode()),
            ("error decoding body: ", json.dumps({"value": VALUE, "addresses": ADDRESS}).encode()),
            ("error decoding body: ", json.dumps({"value": VALUE, "addresses": [7]}).encode()),
            ("error decoding body: ", json.dumps({"value": VALUE, "addresses": {"0": ADDRESS}}).encode()),
            ("error decoding value as base64url: ", json.dumps({"value": VALUE + "="}).encode()),
            ("error decoding value as base64url: ", json.dumps({"value": "+" + VALUE[1:]}).encode()),
            ("error decoding value as base64url: ", json.dumps({"value": VALUE[:41]}).encode()),
            ("error decoding value as base64url: ", json.dumps({"value": VALUE[:42] + "é"}).encode()),
            ("value is not a base64url of a SHA256 digest", b"{}"),
            ("value is not a base64url of a SHA256 digest", b'{"value": null}'),
            ("value is not a base64url of a SHA256 digest", json.dumps({"value": VALUE[:40]}).encode()),
            ("value is not a base64url of a SHA256 digest", json.dumps({"value": VALUE + "A"}).encode()),
        ):
            refusal = self.assertRaises(Refusal, read_registration, body)
            self.assertEqual(refusal.status, 400)
            self.assertTrue(str(refusal).startswith(begin), (str(refusal), body[:80]))

    @given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
    def test_garbage(self, body: bytes | str) -> None:
        """Whatever comes is a registration or a `Refusal`."""
        with contextlib.suppress(Refusal):
            read_registration(body if isinstance(body, bytes) else body.encode())

    def test_json(self) -> None:
        """A refusal has all that is known of it."""
        told = refusal_json(Refusal(429, "no", retry_after_seconds=1.2, tried=[Tried("/x", "FAILED", "why")]))
        self.assertEqual(
            told,
            {
                "status": 429,
                "message": "no",
                "retryAfter": 2,
                "addresses": [{"address": "/x", "fault": "FAILED", "message": "why"}],
            },
        )


class SourcesTests(SynchronousTestCase):
    PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    def clients(self, remote: str, *forwarded: str) -> list[str]:
        return [str(ip) for ip in client_first(ip_address(remote), forwarded, self.PROXIES)]

    def test_not_a_proxy(self) -> None:
        """What anybody else says of himself does not count."""
        self.assertEqual(self.clients("8.8.8.8", "1.1.1.1"), ["8.8.8.8"])

    def test_behind_proxies(self) -> None:
        """The last address that no proxy of ours has is the client; all that are named are looked at by denylists."""
        self.assertEqual(self.clients("10.0.0.1", "1.1.1.1"), ["1.1.1.1", "10.0.0.1"])
        self.assertEqual(self.clients("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.2.2.2")[0], "1.1.1.1")
        self.assertIn("9.9.9.9", self.clients("10.0.0.1", "9.9.9.9, 1.1.1.1"))
        self.assertEqual(self.clients("10.0.0.1", "9.9.9.9", "1.1.1.1")[0], "1.1.1.1")
        self.assertEqual(self.clients("fd00::1", "[2606:4700::1]:443")[0], "2606:4700::1")
        self.assertEqual(self.clients("10.0.0.1", "1.1.1.1:5555")[0], "1.1.1.1")
        self.assertEqual(self.clients("10.0.0.1", "::ffff:1.1.1.1")[0], "1.1.1.1")
        self.assertEqual(self.clients("10.0.0.1"), ["10.0.0.1"])
        self.assertEqual(self.clients("10.0.0.1", "10.0.0.2")[0], "10.0.0.2")

    def test_nonsense(self) -> None:
        """A header that a proxy would not write is refused."""
        for header in ("", "unknown", "1.1.1.1,", "1.1.1.1.1", ", ".join(["1.1.1.1"] * (MAX_HOPS + 1))):
            self.assertRaises(Refusal, self.clients, "10.0.0.1", header)
