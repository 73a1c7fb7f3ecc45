"""What a CA sends: bodies and Link headers."""

import contextlib
import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeMisbehaved,
    wire,
)
from nodetrust.acme.links import MAX_LINKS, linked
from nodetrust.acme.problems import problem_of_response
from nodetrust.acme.urls import Origin

ORIGIN = Origin.of_directory("https://ca.example/directory")
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("valid"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "status", "identifiers", "identifier", "authorizations", "finalize", "certificate", "expires", "error",
                "challenges", "type", "value", "token", "url", "newNonce", "meta", "profiles", "suggestedWindow",
                "start", "end", "detail", "subproblems",
                "contact", "orders", "keyChange", "termsOfService",
            ]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


class WireTests(SynchronousTestCase):
    """Bodies of a CA."""

    PARSERS = (
        lambda body: wire.parse_directory(body, ORIGIN),
        lambda body: wire.parse_order(body, ORIGIN),
        lambda body: wire.parse_account(body, ORIGIN),
        lambda body: wire.parse_orders(body, ORIGIN),
        wire.parse_authorization,
        wire.parse_renewal_window,
    )

    def test_directory(self) -> None:
        """The directory of Let's Encrypt's form."""
        urls = {name: f"https://ca.example/{name}" for name in ("newNonce", "newAccount", "newOrder", "renewalInfo")}
        meta = {"profiles": {"tlsserver": "x", "classic": "y"}, "website": "https://other.example"}
        found = wire.parse_directory(json.dumps({**urls, "meta": meta, "kB3x": "https://x.example"}).encode(), ORIGIN)
        self.assertEqual(found.new_order, "https://ca.example/newOrder")
        self.assertEqual(found.profiles, ("classic", "tlsserver"))
        self.assertEqual((found.key_change, found.revoke_cert, found.terms_of_service), (None, None, None))
        self.assertFalse(found.external_account_required)

    def test_whole_directory(self) -> None:
        """All that RFC 8555 puts there; the terms may be anywhere, and are shown, not asked for."""
        names = ("newNonce", "newAccount", "newOrder", "renewalInfo", "keyChange", "revokeCert")
        urls = {name: f"https://ca.example/{name}" for name in names}
        meta = {"termsOfService": "https://x.example/\x1bterms", "externalAccountRequired": True}
        found = wire.parse_directory(json.dumps({**urls, "meta": meta}).encode(), ORIGIN)
        self.assertEqual((found.key_change, found.revoke_cert), (urls["keyChange"], urls["revokeCert"]))
        self.assertEqual((found.terms_of_service, found.external_account_required), ("https://x.example/ terms", True))
        evil = json.dumps({**urls, "keyChange": "https://evil.example/"}).encode()
        self.assertRaises(AcmeMisbehaved, wire.parse_directory, evil, ORIGIN)

    def test_account(self) -> None:
        """Contacts are bounded and printable; a list of orders is optional, and of the CA."""
        document = {"status": "valid", "contact": ["mailto:a\n@x"] * 50, "orders": "https://ca.example/orders/1"}
        found = wire.parse_account(json.dumps(document).encode(), ORIGIN)
        self.assertEqual(found, wire.Account("valid", ("mailto:a @x",) * 20, "https://ca.example/orders/1"))
        bare = wire.parse_account(b'{"status": "deactivated"}', ORIGIN)
        self.assertEqual(bare, wire.Account("deactivated", (), None))
        for wrong in ({}, {"status": 7}, {"status": "valid", "orders": "https://evil.example/"}):
            self.assertRaises(AcmeMisbehaved, wire.parse_account, json.dumps(wrong).encode(), ORIGIN)

    def test_orders(self) -> None:
        """URLs of the CA; of very many on one page, the last thousand."""
        urls = [f"https://ca.example/order/{n}" for n in range(1001)]
        self.assertEqual(wire.parse_orders(json.dumps({"orders": urls}).encode(), ORIGIN), tuple(urls[1:]))
        for wrong in ({"orders": urls[0]}, {"orders": [7]}, {"orders": ["https://e.example"]}):
            self.assertRaises(AcmeMisbehaved, wire.parse_orders, json.dumps(wrong).encode(), ORIGIN)

    def test_renewal_window(self) -> None:
        """Two times with a zone, in order; nanoseconds, as Go writes them, are no trouble."""
        for start, end, good in (
            ("2026-01-02T04:00:00Z", "2026-01-03T04:00:00Z", True),
            ("2026-01-02T04:00:00.123456789Z", "2026-01-03T04:00:00+01:00", True),
            ("2026-01-02T04:00:00Z", "2026-01-02T04:00:00Z", True),
            ("2026-01-03T04:00:00Z", "2026-01-02T04:00:00Z", False),
            ("2026-01-02T04:00:00", "2026-01-03T04:00:00", False),
            ("soon", "2026-01-03T04:00:00Z", False),
            (None, "2026-01-03T04:00:00Z", False),
        ):
            body = json.dumps({"suggestedWindow": {"start": start, "end": end}}).encode()
            if good:
                window = wire.parse_renewal_window(body)
                self.assertLessEqual(window.start, window.end)
            else:
                self.assertRaises(AcmeMisbehaved, wire.parse_renewal_window, body)

    def test_payloads(self) -> None:
        """What is not said is not there: a CA takes an empty contact for one that shall be empty."""
        self.assertEqual(json.loads(wire.new_account((), agreed=False)), {})
        full = wire.new_account(["mailto:a@x"], agreed=True, binding={"payload": "x"})
        self.assertEqual(
            json.loads(full),
            {"contact": ["mailto:a@x"], "termsOfServiceAgreed": True, "externalAccountBinding": {"payload": "x"}},
        )
        self.assertEqual(json.loads(wire.existing_account()), {"onlyReturnExisting": True})
        self.assertEqual(json.loads(wire.account_update(())), {"contact": []})
        self.assertEqual(json.loads(wire.deactivation()), {"status": "deactivated"})
        self.assertEqual(json.loads(wire.revocation(b"\xff\xfe", None)), {"certificate": "__4"})
        self.assertEqual(json.loads(wire.revocation(b"\xff", 0)), {"certificate": "_w", "reason": 0})

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    def test_garbage(self, body: bytes) -> None:
        """Octets that are no JSON object are AcmeMisbehaved."""
        for parse in self.PARSERS:
            self.assertRaises(AcmeMisbehaved, parse, body)

    @settings(deadline=None)
    @given(JSON)
    def test_any_json(self, document: object) -> None:
        """JSON of any shape is a value or AcmeMisbehaved, and nothing else is raised."""
        for parse in self.PARSERS:
            try:
                parse(json.dumps(document).encode())
            except AcmeMisbehaved as error:
                self.assertTrue(str(error).isprintable())

    @settings(deadline=None)
    @given(JSON)
    def test_any_problem(self, document: object) -> None:
        """A problem document of any shape makes an error with printable text."""
        self.assertTrue(str(problem_of_response(400, None, document)).isprintable())


class LinkTests(SynchronousTestCase):
    """Link headers."""

    HEADERS = (
        '<https://ca.example/alt/1>;rel="alternate", </alt/2>; rel=alternate',
        '<https://ca.example/dir>;rel="index"',
        '<https://ca.example/next>; title="x"; rel="prev Next"',
    )

    def test_relations(self) -> None:
        """Of the relation alone, from all headers, relative ones made absolute, each once."""
        base = "https://ca.example/cert/1"
        self.assertEqual(
            linked([*self.HEADERS, self.HEADERS[0]], "alternate", base, ORIGIN),
            ("https://ca.example/alt/1", "https://ca.example/alt/2"),
        )
        self.assertEqual(linked(self.HEADERS, "next", base, ORIGIN), ("https://ca.example/next",))
        self.assertEqual(linked(self.HEADERS, "up", base, ORIGIN), ())

    def test_bounded(self) -> None:
        """Ten, however many there are."""
        many = [f'<https://ca.example/{n}>;rel="alternate"' for n in range(1000)]
        self.assertEqual(len(linked(many, "alternate", "https://ca.example/", ORIGIN)), MAX_LINKS)

    def test_others(self) -> None:
        """A link to somebody else is the CA's misbehaviour."""
        for evil in ("https://evil.example/", "//evil.example/x", "http://ca.example/", "https://[x"):
            self.assertRaises(AcmeMisbehaved, linked, [f"<{evil}>;rel=next"], "next", "https://ca.example/", ORIGIN)

    @settings(deadline=None)
    @given(st.lists(st.text(alphabet='<>;,="rel next/:[]', max_size=60), max_size=3))
    def test_garbage(self, headers: list[str]) -> None:
        """No header raises anything else."""
        with contextlib.suppress(AcmeMisbehaved):
            linked(headers, "next", "https://ca.example/x", ORIGIN)
