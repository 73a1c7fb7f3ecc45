"""What goes to a broker, and what its answers mean."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.autotls.errors import BrokerRefused, BrokerUnreachable
from nodetrust.client.autotls.wire import (
    InvalidStatus,
    SetValue,
    Status,
    read_status,
    refusal,
    registration_body,
    unhealthy,
)
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import E_INVALID_PROOF, E_NOT_AUTHORIZED, E_OTHER, E_RATE_LIMIT

URL = "https://registration.example"
VALUE = "jP5hwrZwCbP_qeeET_qAa9pgG0YulNaR0ivruESzCrE"

KEYS = st.sampled_from(["values", "value", "until", "dialback", "at", "reached", "addresses", "address", "fault"])
JSON = st.recursive(
    st.none() | st.integers() | st.booleans() | st.just("2026-06-01T12:00:00Z") | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner),
)

ANSWERS = (
    (400, b"error testing addresses: failed to dial", E_INVALID_PROOF, "could not connect to this peer"),
    (400, b"error decoding body: unexpected EOF", E_OTHER, "does not accept the request"),
    (400, b"", E_OTHER, "does not accept the request"),
    (401, b"", E_NOT_AUTHORIZED, "signature"),
    (403, b"403 Forbidden: Missing Forge-Authorization header.", E_NOT_AUTHORIZED, "set forge_token"),
    (403, b"403 Forbidden: client IP 1.2.3.4 blocked by drop", E_NOT_AUTHORIZED, "does not serve this peer"),
    (404, b"404 page not found", E_OTHER, "is none"),
    (413, b"", E_OTHER, "too large"),
    (418, b"", E_OTHER, "refused"),
    (429, b"", E_RATE_LIMIT, "too often"),
    (500, b"error storing value: disk full", E_OTHER, "failed at its own end"),
    (502, b"<html>Bad Gateway</html>", E_OTHER, "failed at its own end"),
    (302, b"", E_OTHER, "redirects"),
)


class BodyTests(SynchronousTestCase):
    """The request."""

    def test_as_p2p_forge_reads_it(self) -> None:
        """The two keys in lower case, and no other: p2p-forge refuses what it does not know. Addresses have no /p2p."""
        peer = PrivateKey.generate().peer_id
        address = Multiaddr.parse("/ip4/1.2.3.4/tcp/4001")
        body = json.loads(registration_body(VALUE, [address.with_peer_id(peer), address]))
        self.assertEqual(body, {"value": VALUE, "addresses": ["/ip4/1.2.3.4/tcp/4001"] * 2})


STATUS: dict[str, Any] = {
    "peer": "12D3KooW",
    "name": "_acme-challenge.k51.auto.test",
    "values": [{"value": VALUE, "until": "2026-06-01T12:00:00Z"}],
    "dialback": {
        "at": "2026-06-01T11:50:00Z",
        "reached": False,
        "addresses": [
            {"address": "/ip4/1.2.3.4/tcp/4001", "fault": "TIMED_OUT", "message": "no answer"},
            {"address": "/ip4/1.2.3.4/tcp/4002", "fault": None, "message": ""},
        ],
    },
}


class StatusTests(SynchronousTestCase):
    """What our broker tells of a peer."""

    def test_as_ours_says_it(self) -> None:
        """Values with their ends, and the last dial-back with each address."""
        status = read_status(json.dumps(STATUS).encode())
        noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
        self.assertEqual(status.values, (SetValue(VALUE, noon),))
        assert status.dialback is not None
        self.assertEqual((status.dialback.at, status.dialback.reached), (noon - timedelta(minutes=10), False))
        self.assertEqual([one.fault for one in status.dialback.tried], ["TIMED_OUT", None])
        self.assertEqual(read_status(b'{"values":[],"dialback":null}'), Status((), None))

    def test_hostile_words(self) -> None:
        """They fit a terminal."""
        hostile = json.dumps(STATUS).replace("no answer", "\\u001b[2J\\n" + "x" * 9000).encode()
        status = read_status(hostile)
        assert status.dialback is not None
        message = status.dialback.tried[0].message
        self.assertTrue(message.isprintable())
        self.assertLess(len(message), 1000)

    def test_nonsense(self) -> None:
        """Whatever it is, it is told as one error."""
        broken: list[Any] = [None, 7, [], {}, {"values": None, "dialback": None}, {"values": [7], "dialback": None}]
        broken += [{**STATUS, "values": [{"value": 7, "until": "2026-06-01"}]}]
        broken += [
            {**STATUS, "values": [{"value": VALUE, "until": until}]}
            for until in ("soon", 7, None, "0001-01-01T00:00:00+23:00")
        ]
        broken += [{**STATUS, "dialback": dialback} for dialback in (7, [], {}, {"at": "x"}, {"addresses": [[]]})]
        for body in (b"", b"\xff", b"[" * 100_000, *(json.dumps(one).encode() for one in broken)):
            self.assertRaises(InvalidStatus, read_status, body)

    @given(JSON)
    def test_any_json(self, told: Any) -> None:
        """It is a status or nonsense."""
        with contextlib.suppress(InvalidStatus):
            read_status(json.dumps(told).encode())


class RefusalTests(SynchronousTestCase):
    """The answer."""

    def test_each_status(self) -> None:
        """It becomes a sentence that says what is wrong, with the status and the broker's own words."""
        for status, body, code, words in ANSWERS:
            error = refusal(URL, status, body, None)
            assert isinstance(error, BrokerRefused)
            self.assertEqual((error.code, error.status, error.retry_after_seconds), (code, status, None))
            self.assertIn(words, str(error))
            self.assertIn(URL, str(error))
            if status != 302:
                self.assertTrue(str(error).endswith(body.decode() or f"(status {status})"), str(error))

    def test_when_to_come_back(self) -> None:
        """It is told, and heeded."""
        error = refusal(URL, 429, b"", 120)
        assert isinstance(error, BrokerRefused)
        self.assertEqual(error.retry_after_seconds, 120)
        self.assertIn("left alone for 120 s", str(error))

    def test_hostile_words(self) -> None:
        """They fit a terminal: one line, no control characters, not endless."""
        text = str(refusal(URL, 400, b"\x1b[2J\n\xff" + b"x" * 100_000, None))
        self.assertTrue(text.isprintable())
        self.assertLess(len(text), 600)

    def test_health(self) -> None:
        """One that is not well is out of reach, or says when to come back."""
        self.assertIsInstance(unhealthy(URL, 503, None), BrokerUnreachable)
        error = unhealthy(URL, 503, 60)
        assert isinstance(error, BrokerRefused)
        self.assertEqual((error.code, error.retry_after_seconds), (E_RATE_LIMIT, 60))
