"""Which challenge is met, and how."""

import json
from datetime import UTC, datetime

from acme import challenges, messages
from josepy.jwk import JWKRSA
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeMisbehaved,
    persist_value,
    wire,
)
from nodetrust.acme import errors as kinds
from nodetrust.acme.challenges import Prover, failed_try, failure_of, is_answered, open_challenges
from nodetrust.acme.persist import is_for_account
from nodetrust.acme.urls import Origin

ORIGIN = Origin.of_directory("https://ca.example/directory")
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class ChallengeTests(SynchronousTestCase):
    """TXT values."""

    # RFC 7638 §3.1: this RSA key has the thumbprint NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs.
    KEY = JWKRSA.from_json(
        {
            "kty": "RSA",
            "n": ""
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZC"
            "iFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9"
            "c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF"
            "44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
        }
    )
    TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"  # RFC 8555 §8.4

    def prover(self, challenge: str = "dns-01") -> Prover:
        return Prover(self.KEY, "https://ca.example/account/1", ORIGIN, challenge)

    def test_value(self) -> None:
        """SHA-256 of token, dot and thumbprint, in base64url (computed with sha256sum and base64)."""
        body = messages.ChallengeBody.from_json(
            {"type": "dns-01", "url": "https://ca.example/c", "token": self.TOKEN, "status": "pending"}
        )
        authorization = messages.Authorization(
            identifier=messages.Identifier(typ=messages.IDENTIFIER_FQDN, value="a.example"),
            status=messages.STATUS_PENDING,
            challenges=(body,),
        )
        (found,) = open_challenges([("https://ca.example/z", authorization)], ["a.example"], self.prover())
        self.assertEqual(found.record, ("a.example", "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8"))
        self.assertEqual((found.url, found.authorization_url), ("https://ca.example/c", "https://ca.example/z"))
        self.assertIsInstance(body.chall, challenges.DNS01)

    def test_preference(self) -> None:
        """dns-persist-01 where it is wanted, offered and for our account, else dns-01; what was begun goes on."""
        value = {"type": "dns-01", "url": "https://ca.example/v", "token": self.TOKEN, "status": "pending"}
        zone = {
            "type": "dns-persist-01",
            "url": "https://ca.example/p",
            "status": "pending",
            "issuer-domain-names": ["ca.example"],
            "accounturi": "https://ca.example/account/1",
        }
        begun = {"status": "processing"}
        for wanted, offered, expected in (
            ("dns-01", [zone, value], ("https://ca.example/v", True, False)),
            ("dns-persist-01", [value, zone], ("https://ca.example/p", False, False)),
            ("dns-persist-01", [value], ("https://ca.example/v", True, False)),
            ("dns-persist-01", [{**zone, "accounturi": "x"}, value], ("https://ca.example/v", True, False)),
            ("dns-persist-01", [{**value, **begun}, zone], ("https://ca.example/v", True, True)),
            ("dns-persist-01", [value, {**zone, **begun}], ("https://ca.example/p", False, True)),
            ("dns-01", [value, {**zone, **begun}], ("https://ca.example/p", False, True)),
        ):
            document = {"identifier": {"type": "dns", "value": "*.a.example"}, "status": "pending"}
            authorization = wire.parse_authorization(json.dumps({**document, "challenges": offered}).encode())
            (found,) = open_challenges([("https://ca.example/z", authorization)], ["*.a.example"], self.prover(wanted))
            self.assertEqual((found.url, found.record is not None, found.answered), expected)
            self.assertEqual(found.name, "a.example")

    def test_why_it_failed(self) -> None:
        """The first challenge that has an error says why; an authorization may have no challenges at all."""
        for failed in (None, [], [{"type": "dns-01", "url": "https://ca.example/v", "token": self.TOKEN}]):
            document = {"identifier": {"type": "dns", "value": "a.example"}, "status": "invalid"}
            body = json.dumps(document if failed is None else {**document, "challenges": failed}).encode()
            self.assertIn("it gave no reason", str(failure_of(wire.parse_authorization(body))))
        failed = {"type": "dns-01", "url": "https://ca.example/v", "token": self.TOKEN, "error": {"detail": "no TXT"}}
        body = json.dumps({**document, "challenges": [{**failed, "error": None}, failed]}).encode()
        self.assertIn("a.example invalid: no TXT", str(failure_of(wire.parse_authorization(body))))

    def test_failed_try(self) -> None:
        """An error at our challenge that is still pending; not at another one, nor while the CA tries by itself."""
        for status, url, error, expected in (
            ("pending", "https://ca.example/v", "dns", kinds.AcmeValidationFailed),
            ("pending", "https://ca.example/v", "rejectedIdentifier", kinds.AcmeValidationFailed),
            ("pending", "https://ca.example/v", None, None),
            ("pending", "https://ca.example/w", "dns", None),
            ("processing", "https://ca.example/v", "dns", None),
        ):
            problem = {"type": f"urn:ietf:params:acme:error:{error}", "detail": "no TXT"}
            body = {"type": "dns-01", "url": url, "token": self.TOKEN, "status": status}
            body |= {} if error is None else {"error": problem}
            document = {"identifier": {"type": "dns", "value": "a"}, "status": "pending", "challenges": [body]}
            found = failed_try(wire.parse_authorization(json.dumps(document).encode()), "https://ca.example/v")
            self.assertIs(type(found), type(None) if expected is None else expected)

    def test_is_answered(self) -> None:
        """A challenge that is no longer pending, or an authorization that is none."""
        for status, challenge_status, url, expected in (
            ("pending", "pending", "https://ca.example/v", False),
            ("pending", "processing", "https://ca.example/v", True),
            ("pending", "processing", "https://ca.example/w", False),
            ("valid", "pending", "https://ca.example/v", True),
        ):
            body = {"type": "dns-01", "url": url, "token": self.TOKEN, "status": challenge_status}
            document = {"identifier": {"type": "dns", "value": "a"}, "status": status, "challenges": [body]}
            found = wire.parse_authorization(json.dumps(document).encode())
            self.assertEqual(is_answered(found, "https://ca.example/v"), expected)

    def test_no_dns01(self) -> None:
        """A CA that offers only other challenges is told apart, and so is an authorization that is over."""
        for status, offered, expected in (
            ("pending", [{"type": "http-01", "url": "https://ca.example/c", "token": self.TOKEN}], kinds.AcmeRefused),
            ("pending", [], kinds.AcmeRefused),
            ("invalid", [], kinds.AcmeValidationFailed),
            ("expired", [], AcmeMisbehaved),
        ):
            document = {"identifier": {"type": "dns", "value": "a.example"}, "status": status, "challenges": offered}

            def ask(document=document) -> None:
                found = wire.parse_authorization(json.dumps(document).encode())
                open_challenges([("https://ca.example/z", found)], ["a.example"], self.prover())

            self.assertRaises(expected, ask)


class PersistTests(SynchronousTestCase):
    """dns-persist-01: the record, and whether a challenge is for us."""

    ACCOUNT = "https://ca.example/account/1"

    def test_value(self) -> None:
        """The form of the draft's examples."""
        self.assertEqual(
            persist_value("authority.example", self.ACCOUNT, until=datetime(2025, 7, 1, tzinfo=UTC)),
            f"authority.example; accounturi={self.ACCOUNT}; policy=wildcard; persistUntil=1751328000",
        )
        self.assertEqual(
            persist_value("authority.example", self.ACCOUNT, wildcard=False),
            f"authority.example; accounturi={self.ACCOUNT}",
        )
        for issuer, account in (("", self.ACCOUNT), ("a b", self.ACCOUNT), ("a", ""), ("a", "x;y"), ("ä", "x")):
            self.assertRaises(ValueError, persist_value, issuer, account)

    def test_challenge(self) -> None:
        """Well-formed and for our account; anything else is not taken."""
        good = {"type": "dns-persist-01", "issuer-domain-names": ["ca.example"], "accounturi": self.ACCOUNT}
        for change, expected in (
            ({}, True),
            ({"type": "dns-account-01"}, False),
            ({"accounturi": "https://ca.example/account/2"}, False),
            ({"issuer-domain-names": []}, False),
            ({"issuer-domain-names": ["x"] * 11}, False),
            ({"issuer-domain-names": "ca.example"}, False),
        ):
            challenge = challenges.Challenge.from_json({**good, **change})
            self.assertEqual(is_for_account(challenge, self.ACCOUNT), expected, change)
        self.assertFalse(is_for_account(challenges.DNS01(token=b"x" * 16), self.ACCOUNT))
