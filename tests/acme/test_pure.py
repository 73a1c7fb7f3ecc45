"""The decisions of the ACME client that need neither a CA nor a clock."""

import json
from datetime import UTC, datetime, timedelta
from random import Random

from acme import challenges, messages
from acme import jws as acme_jws
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from josepy.jwk import JWKRSA
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeMisbehaved,
    AcmeUsageError,
    account_key_from_pem,
    account_key_to_pem,
    ari_id,
    generate_account_key,
    wire,
)
from nodetrust.acme import errors as kinds
from nodetrust.acme.challenges import Prover, open_challenges
from nodetrust.acme.jws import signed_request
from nodetrust.acme.nonces import NoncePool
from nodetrust.acme.problems import PROBLEMS, Reaction, problem_of_response, reaction_to
from nodetrust.acme.profiles import choose_profile
from nodetrust.acme.retries import MAX_NONCE_TRIES, MAX_TROUBLE_TRIES, Retries, parse_retry_after, poll_pause
from nodetrust.acme.urls import Origin

ORIGIN = Origin.of_directory("https://ca.example/directory")
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class OriginTests(SynchronousTestCase):
    """The rule about URLs."""

    def test_directory(self) -> None:
        """https always, http only for this machine and only if allowed."""
        for good in ("https://ca.example", "https://ca.example:14000/dir", "https://[::1]:1/d"):
            Origin.of_directory(good)
        for bad in (
            "http://ca.example/d",
            "http://127.0.0.1/d",
            "ftp://ca.example",
            "ca.example",
            "",
            "https://",
            "https://a:x/",
        ):
            self.assertRaises(AcmeUsageError, Origin.of_directory, bad)
        for good in ("http://127.0.0.1:4000/d", "http://[::1]/d", "http://localhost/d"):
            Origin.of_directory(good, allow_loopback_http=True)
        self.assertRaises(AcmeUsageError, Origin.of_directory, "http://ca.example", allow_loopback_http=True)

    def test_same_origin(self) -> None:
        """The default port and the case of the host make no difference; everything else does."""
        for same in ("https://ca.example/x", "https://ca.example:443/y?z", "https://CA.example/"):
            self.assertEqual(ORIGIN.check(same), same)
        for other in (
            "https://ca.example.evil/",
            "https://user@ca.example/",
            "https://evil.example\\@ca.example/",
            "https://ca.example:8443/",
            "http://ca.example/",
            "//ca.example/",
            "/x",
            "https://ca.example/\r\nX: y",
            "https://ca.example/ é",
            "https://ca.example/" + "a" * 3000,
            b"https://ca.example/",
            None,
        ):
            self.assertRaises(AcmeMisbehaved, ORIGIN.check, other)


class ProblemTests(SynchronousTestCase):
    """Problem documents → errors and what is done about them."""

    def test_every_type(self) -> None:
        """Each type in the table gives its error, and the error the reaction in the same row."""
        for kind, (error_class, reaction) in PROBLEMS.items():
            error = problem_of_response(400, None, {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "d"})
            self.assertIs(type(error), error_class)
            self.assertEqual(reaction_to(error), reaction)

    def test_status_decides_where_the_type_does_not(self) -> None:
        """404 is a lost order and 429 a rate limit whatever the document; unknown types fall back to the status."""
        for status, retry_after, expected in (
            (404, None, kinds.AcmeOrderLost),
            (429, None, kinds.AcmeRateLimited),
            (503, 5.0, kinds.AcmeRateLimited),
            (503, None, kinds.AcmeServerTrouble),
            (502, None, kinds.AcmeServerTrouble),
            (400, None, kinds.AcmeRefused),
        ):
            for document in (None, [], {"type": "about:blank"}, {"type": 7, "detail": ["x"], "subproblems": "y"}):
                self.assertIs(type(problem_of_response(status, retry_after, document)), expected)
        self.assertEqual(problem_of_response(429, None, None).retry_after_seconds, kinds.DEFAULT_RETRY_SECONDS)

    def test_subproblems(self) -> None:
        """The text names each refused identifier."""
        parts = [{"type": "t", "detail": "no", "identifier": {"type": "dns", "value": f"{n}.example"}} for n in "ab"]
        text = str(problem_of_response(400, None, {"detail": "several", "subproblems": parts}))
        self.assertIn("several; a.example: no; b.example: no", text)

    def test_other_errors(self) -> None:
        """An unreachable CA is asked again, one that misbehaves is not."""
        self.assertEqual(reaction_to(kinds.AcmeUnreachable("x")), Reaction.SOON)
        self.assertEqual(reaction_to(AcmeMisbehaved("x")), Reaction.GIVE_UP)


class RetryTests(SynchronousTestCase):
    """Pauses and their limits."""

    def test_budgets(self) -> None:
        """Bad nonces and troubles have budgets of their own; other errors have none."""
        retries = Retries(Random(1))
        nonce, trouble = kinds.AcmeBadNonce("x"), kinds.AcmeUnreachable("x")
        pauses = [retries.pause_after(nonce) for _ in range(MAX_NONCE_TRIES)]
        self.assertEqual((pauses[0], pauses[-1]), (0.0, None))
        self.assertNotIn(None, pauses[:-1])
        waits = [retries.pause_after(trouble) for _ in range(MAX_TROUBLE_TRIES + 1)]
        self.assertIsNone(waits.pop())
        self.assertEqual(waits, sorted(waits))
        self.assertIsNone(retries.pause_after(AcmeMisbehaved("x")))

    def test_polls(self) -> None:
        """Retry-After is kept to; without it the steps grow to a limit. Jitter only lengthens."""
        random = Random(1)
        for asked, least, most in ((0.0, 0.1, 0.125), (3.0, 3.0, 3.75), (3600.0, 3600.0, 4500.0)):
            self.assertTrue(least <= poll_pause(0, asked, random) <= most)
        self.assertLess(poll_pause(0, None, random), 0.2)
        self.assertTrue(5.0 <= poll_pause(10**6, None, random) <= 6.25)

    def test_retry_after(self) -> None:
        """Numbers and dates, in all three forms of RFC 9110; garbage is as good as none."""
        for header, seconds in (
            ("120", 120.0),
            ("99999999999999", 86_400.0),
            ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
            ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
            ("-5", None),
            ("soon", None),
            ("", None),
            (None, None),
        ):
            self.assertEqual(parse_retry_after(header, NOW), seconds, header)

    @settings(deadline=None)
    @given(st.text(max_size=40))
    def test_any_retry_after(self, header: str) -> None:
        """No header makes it raise, or wait longer than a day."""
        seconds = parse_retry_after(header, NOW)
        self.assertTrue(seconds is None or 0 <= seconds <= 86_400)


class NonceTests(SynchronousTestCase):
    """The pool of nonces."""

    def test_newest_first_and_once(self) -> None:
        """The newest nonce is taken first, and none twice."""
        pool = NoncePool()
        for nonce in ("aaaa", "bbbb"):
            pool.put(nonce)
        self.assertEqual([pool.take(), pool.take(), pool.take()], ["bbbb", "aaaa", None])

    def test_bounded_and_picky(self) -> None:
        """The pool stays small, and what is no base64url is not kept."""
        pool = NoncePool()
        for bad in (None, "", "a b", "é", "a" * 300, "a\n", "aaaaa"):
            pool.put(bad)
        self.assertEqual(len(pool), 0)
        for n in range(1000):
            pool.put(f"{n:04d}")
        self.assertEqual((len(pool), pool.take()), (64, "0999"))


class KeyTests(SynchronousTestCase):
    """Account keys and what they sign."""

    def test_pem_round_trip(self) -> None:
        """Both kinds of key come back from their PEM."""
        for key in (generate_account_key(), JWKRSA(key=rsa.generate_private_key(65537, 2048))):
            self.assertEqual(account_key_from_pem(account_key_to_pem(key)).thumbprint(), key.thumbprint())

    def test_other_keys(self) -> None:
        """What is no key, or one that no CA takes, is refused."""
        p384 = ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for pem in (b"", b"garbage", p384):
            self.assertRaises(AcmeUsageError, account_key_from_pem, pem)

    def test_signed_request(self) -> None:
        """A flattened JWS with nonce, URL and either the key or the account, all of it protected."""
        key = generate_account_key()
        for account_url in (None, "https://ca.example/acct/1"):
            body = json.loads(
                signed_request(b"{}", key, url="https://ca.example/x", nonce="AAAA", account_url=account_url)
            )
            self.assertEqual(set(body), {"protected", "payload", "signature"})
            signature = acme_jws.JWS.from_json(body).signature
            header = json.loads(signature.protected)
            self.assertEqual((header["alg"], header["nonce"], header["url"]), ("ES256", "AAAA", "https://ca.example/x"))
            self.assertEqual(header.get("kid"), account_url)
            self.assertEqual("jwk" in header, account_url is None)
            self.assertNotIn("d", header.get("jwk", {}))
            self.assertTrue(signature.verify(b"{}", key.public_key()))


class ProfileTests(SynchronousTestCase):
    """The choice of a profile."""

    def test_choice(self) -> None:
        """The configured one; else the everyday one; else the first by name; none only where there are none."""
        self.assertEqual(choose_profile(("classic", "shortlived"), "shortlived"), "shortlived")
        self.assertEqual(choose_profile(("classic", "default", "a"), None), "default")
        self.assertEqual(choose_profile(("a", "classic"), None), "classic")
        self.assertEqual(choose_profile(("b", "a"), None), "a")
        self.assertIsNone(choose_profile((), None))
        self.assertRaises(AcmeUsageError, choose_profile, ("a",), "b")
        self.assertRaises(AcmeUsageError, choose_profile, (), "b")


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


class AriTests(SynchronousTestCase):
    """The identifier of a certificate."""

    def test_published_example(self) -> None:
        """RFC 9773 §4.1: key identifier 69:88:5B:…, serial 00:87:65:43:21."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([]))
            .public_key(key.public_key())
            .serial_number(0x87654321)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier(authority, None, None), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.assertEqual(ari_id(pem), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")

    def test_not_a_certificate(self) -> None:
        """Other text is refused."""
        self.assertRaises(AcmeUsageError, ari_id, b"garbage")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("valid"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "status", "identifiers", "identifier", "authorizations", "finalize", "certificate", "expires", "error",
                "challenges", "type", "value", "token", "url", "newNonce", "meta", "profiles", "suggestedWindow",
                "start", "end", "detail", "subproblems",
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
