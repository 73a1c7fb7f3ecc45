"""The development CA refuses what RFC 8555 tells a server to refuse."""

import base64
import json
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from josepy.json_util import encode_b64jose
from josepy.jwk import JWK, JWKEC, JWKRSA
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import ari_id, generate_account_key
from nodetrust.acme.jws import key_change, signed_request
from nodetrust.testing.ca import CASettings, db
from nodetrust.testing.ca.jws import MAX_BODY_BYTES
from nodetrust.testing.ca.reply import Reply
from tests.acme.support import BASE, NOW, MemoryCA, csr

NAMES = ["a.nt.example", "*.a.nt.example"]
KEY = generate_account_key()
OTHER_KEY = generate_account_key()


JSON_BODIES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["protected", "payload", "signature"]), inner)
    ),
).map(lambda found: json.dumps(found).encode())


class FrontEndCase(SynchronousTestCase):
    """A CA, and requests to it signed by hand."""

    def setUp(self) -> None:
        self.ca = MemoryCA()

    def answer(self, path: str, body: bytes, media_type: str = "application/jose+json") -> Reply:
        return self.ca.front_end.answer("POST", path, media_type, body)

    def nonce(self) -> str:
        return self.ca.front_end.answer("HEAD", "/nonce", "", b"").headers["Replay-Nonce"]

    def post(self, path: str, payload: object, key: JWK = KEY, kid: str | None = None, **changes: str) -> Reply:
        """A well-signed request, but for what `changes` (nonce, url) says."""
        body = b"" if payload is None else json.dumps(payload).encode()
        header = {"nonce": self.nonce(), "url": BASE + path, **changes}
        return self.answer(path, signed_request(body, key, account_url=kid, **header))

    def account(self, key: JWK = KEY) -> str:
        return self.post("/new-account", {"termsOfServiceAgreed": True}, key).headers["Location"]

    def order(self, kid: str, names: list[str] = NAMES, **fields: object) -> Reply:
        identifiers = [{"type": "dns", "value": name} for name in names]
        return self.post("/new-order", {"identifiers": identifiers, **fields}, kid=kid)

    def ready_order(self, kid: str) -> str:
        """The path of an order whose authorizations are valid."""
        order = self.order(kid)
        for url in json.loads(order.body)["authorizations"]:
            self.ca.database.authorizations.get(url.rpartition("/")[2]).validated = NOW.timestamp()
        return order.headers["Location"].removeprefix(BASE)

    def issue(self, kid: str) -> bytes:
        """The chain that a whole order leads to."""
        path = self.ready_order(kid).replace("/order/", "/finalize/")
        url = json.loads(self.post(path, {"csr": encode_b64jose(csr(NAMES))}, kid=kid).body)["certificate"]
        chain = self.post(url.removeprefix(BASE), None, kid=kid)
        self.assertEqual(chain.headers["Content-Type"], "application/pem-certificate-chain")
        return chain.body

    def renewal(self, chain: bytes) -> dict[str, str]:
        """The window of a certificate."""
        told = self.ca.front_end.answer("GET", f"/renewal-info/{ari_id(chain)}", "", b"")
        window: dict[str, str] = json.loads(told.body)["suggestedWindow"]
        self.assertLess(window["start"], window["end"])
        return window

    def assertProblem(self, reply: Reply, kind: str, status: int | None = None) -> None:
        self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
        found = json.loads(reply.body)
        self.assertEqual(found["type"], f"urn:ietf:params:acme:error:{kind}", found)
        self.assertEqual(found["status"], reply.status)
        if status is not None:
            self.assertEqual(reply.status, status)


class SignatureTests(FrontEndCase):
    """RFC 8555 §6: who may ask anything at all."""

    def test_nonce_is_good_once(self) -> None:
        """A nonce is used up by its first request, and one that was never given out is refused."""
        nonce = self.nonce()
        self.assertEqual(self.post("/new-account", {"termsOfServiceAgreed": True}, nonce=nonce).status, 201)
        for bad in (nonce, "AAAA"):
            refused = self.post("/new-account", {"termsOfServiceAgreed": True}, nonce=bad)
            self.assertProblem(refused, "badNonce", 400)
            self.assertIn("Replay-Nonce", refused.headers)

    def test_url_is_signed(self) -> None:
        """A request that was signed for another URL is refused."""
        refused = self.post("/new-account", {"termsOfServiceAgreed": True}, url=BASE + "/new-order")
        self.assertProblem(refused, "unauthorized", 403)

    def test_wrong_signature(self) -> None:
        """A signature of another key, or one that was changed, or over another payload, is refused."""
        kid = self.account()
        self.assertProblem(self.post(kid.removeprefix(BASE), {}, OTHER_KEY, kid), "malformed", 400)
        good = json.loads(signed_request(b"{}", KEY, url=f"{BASE}/new-order", nonce=self.nonce(), account_url=kid))
        for change in ({"payload": "e30K"}, {"signature": "AAAA"}, {"signature": good["signature"][:-6] + "AAAAAA"}):
            self.assertProblem(self.answer("/new-order", json.dumps({**good, **change}).encode()), "malformed", 400)

    def test_protected_header(self) -> None:
        """Nonce, URL, an algorithm that fits the key, and exactly one of key and account: each is asked for."""
        good = json.loads(signed_request(b"{}", KEY, url=f"{BASE}/new-account", nonce=self.nonce(), account_url=None))
        header = json.loads(_decode(good["protected"]))
        kid = self.account()
        for changes, kind in (
            ({"alg": "RS256"}, "badSignatureAlgorithm"),
            ({"nonce": None}, "badNonce"),
            ({"url": None}, "malformed"),
            ({"jwk": None}, "malformed"),
            ({"jwk": None, "kid": 7}, "malformed"),
            ({"kid": kid}, "malformed"),
            ({"jwk": {"kty": "oct", "k": "AAAA"}}, "badPublicKey"),
            ({"crit": ["exp"]}, "malformed"),
        ):
            fields = {name: value for name, value in {**header, **changes}.items() if value is not None}
            protected = encode_b64jose(json.dumps(fields).encode())
            self.assertProblem(self.answer("/new-account", json.dumps({**good, "protected": protected}).encode()), kind)
        p384 = JWKEC(key=ec.generate_private_key(ec.SECP384R1()))
        fields = {**header, "jwk": p384.public_key().to_json()}
        protected = encode_b64jose(json.dumps(fields).encode())
        refused = self.answer("/new-account", json.dumps({**good, "protected": protected}).encode())
        self.assertProblem(refused, "badPublicKey")

    def test_algorithms(self) -> None:
        """`none`, MACs and weak or unusual keys are refused."""
        good = json.loads(signed_request(b"{}", KEY, url=f"{BASE}/new-account", nonce=self.nonce(), account_url=None))
        header = json.loads(_decode(good["protected"]))
        for alg in ("none", "HS256", "RS512", 7, None):
            changed = encode_b64jose(json.dumps({**header, "alg": alg}).encode())
            refused = self.answer("/new-account", json.dumps({**good, "protected": changed}).encode())
            self.assertEqual(refused.status, 400, alg)
        weak = JWKRSA(key=rsa.generate_private_key(65537, 1024))
        self.assertProblem(self.post("/new-account", {"termsOfServiceAgreed": True}, weak), "badPublicKey")

    def test_rsa(self) -> None:
        """RS256 is as good as ES256."""
        key = JWKRSA(key=rsa.generate_private_key(65537, 2048))
        self.assertEqual(self.post("/new-account", {"termsOfServiceAgreed": True}, key).status, 201)

    def test_key_and_account(self) -> None:
        """newAccount wants the key, everything else the account, which must be known."""
        kid = self.account()
        self.assertProblem(self.post("/new-account", {}, kid=kid), "malformed")
        self.assertProblem(self.post("/new-order", {}), "malformed")
        for other in (BASE + "/account/none", "https://evil.example/account/1", kid + "/"):
            self.assertProblem(self.post("/new-order", {}, kid=other), "accountDoesNotExist")

    def test_form(self) -> None:
        """Type, size, members and method of a request are checked."""
        self.assertProblem(self.answer("/new-order", b"{}", "application/json"), "malformed", 415)
        self.assertProblem(self.answer("/new-order", b" " * (MAX_BODY_BYTES + 1)), "malformed", 413)
        good = json.loads(signed_request(b"{}", KEY, url=f"{BASE}/new-account", nonce=self.nonce(), account_url=None))
        unprotected = {**good, "header": {"alg": "ES256"}}
        self.assertProblem(self.answer("/new-account", json.dumps(unprotected).encode()), "malformed", 400)
        for method, path, status in (
            ("GET", "/new-order", 405),
            ("GET", "/nothing", 404),
            ("PUT", "/directory", 405),
            ("GET", "*", 404),
            ("GET", "", 404),
        ):
            self.assertProblem(self.ca.front_end.answer(method, path, "", b""), "malformed", status)
        self.assertProblem(self.answer("/nothing", b""), "malformed", 404)

    @settings(deadline=None)
    @given(st.binary(max_size=80) | JSON_BODIES)
    def test_garbage(self, body: bytes) -> None:
        """No body makes the CA raise."""
        self.assertProblem(
            MemoryCA().front_end.answer("POST", "/new-order", "application/jose+json", body), "malformed"
        )

    @settings(deadline=None)
    @given(st.dictionaries(
        st.sampled_from(["alg", "jwk", "kid", "nonce", "url", "crit", "x5c"]),
        st.none() | st.integers() | st.text(max_size=5) | st.just("ES256") | st.just("AAAA")
        | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "k"]), st.sampled_from(
            ["EC", "RSA", "oct", "P-256", "AAAA", "", 7])),
    ))  # fmt: skip
    def test_any_header(self, header: dict[str, object]) -> None:
        """No protected header makes the CA raise, or is good enough."""
        protected = encode_b64jose(json.dumps(header).encode())
        body = json.dumps({"protected": protected, "payload": "", "signature": "AAAA"}).encode()
        for path in ("/new-account", "/new-order"):
            reply = MemoryCA().front_end.answer("POST", path, "application/jose+json", body)
            self.assertTrue(400 <= reply.status < 500)


class AccountTests(FrontEndCase):
    """RFC 8555 §7.3."""

    def test_one_for_a_key(self) -> None:
        """The same key gets the same account, 201 the first time and 200 later; another key another."""
        first = self.post("/new-account", {"termsOfServiceAgreed": True})
        again = self.post("/new-account", {"onlyReturnExisting": True})
        self.assertEqual((first.status, again.status), (201, 200))
        self.assertEqual(first.headers["Location"], again.headers["Location"])
        self.assertNotEqual(self.account(OTHER_KEY), first.headers["Location"])

    def test_refusals(self) -> None:
        """No account where only an existing one was wanted, without the terms, or with a contact that is no mail."""
        self.assertProblem(self.post("/new-account", {"onlyReturnExisting": True}), "accountDoesNotExist")
        self.assertProblem(self.post("/new-account", {}), "userActionRequired")
        for contact in (["tel:1"], "mailto:a@b", [7], ["mailto:" + "a" * 300]):
            wanted = {"termsOfServiceAgreed": True, "contact": contact}
            self.assertProblem(self.post("/new-account", wanted), "unsupportedContact")
        for payload in (None, [], "x"):
            self.assertProblem(self.post("/new-account", payload), "malformed")

    def test_own_account_only(self) -> None:
        """An account can look at itself, not at others."""
        kid, other = self.account(), self.account(OTHER_KEY)
        self.assertEqual(self.post(kid.removeprefix(BASE), None, kid=kid).status, 200)
        self.assertProblem(self.post(other.removeprefix(BASE), None, kid=kid), "unauthorized")

    def test_changes(self) -> None:
        """Contacts are replaced; the one status to ask for ends the account, and with it all requests."""
        kid = self.account()
        path = kid.removeprefix(BASE)
        shown = json.loads(self.post(path, {"contact": ["mailto:a@b"]}, kid=kid).body)
        self.assertEqual((shown["contact"], shown["status"]), (["mailto:a@b"], "valid"))
        self.assertProblem(self.post(path, {"contact": 7}, kid=kid), "unsupportedContact")
        self.assertProblem(self.post(path, {"status": "valid"}, kid=kid), "malformed")
        self.assertEqual(json.loads(self.post(path, {"status": "deactivated"}, kid=kid).body)["status"], "deactivated")
        self.assertProblem(self.post(path, None, kid=kid), "unauthorized")
        self.assertProblem(self.post("/new-account", {"onlyReturnExisting": True}), "unauthorized")

    def test_key_change(self) -> None:
        """RFC 8555 §7.3.5: every part of the inner request is checked; then the new key has the account."""
        kid, url = self.account(), f"{BASE}/key-change"

        def ask(inner: bytes) -> Reply:
            body = signed_request(inner, KEY, url=url, nonce=self.nonce(), account_url=kid)
            return self.answer("/key-change", body)

        by_account = signed_request(b"{}", OTHER_KEY, url=url, nonce="AAAA", account_url=kid)
        good = json.loads(key_change(KEY, OTHER_KEY, kid, url))
        for inner in (
            b"{}",
            by_account,
            key_change(KEY, OTHER_KEY, kid, f"{BASE}/new-order"),
            key_change(KEY, OTHER_KEY, f"{kid}0", url),
            key_change(OTHER_KEY, OTHER_KEY, kid, url),
            json.dumps({**good, "signature": "AAAA"}).encode(),
        ):
            self.assertProblem(ask(inner), "malformed", 400)
        self.assertProblem(ask(key_change(KEY, KEY, kid, url)), "malformed", 409)
        self.assertEqual(ask(json.dumps(good).encode()).status, 200)
        self.assertEqual(self.post("/new-account", {"onlyReturnExisting": True}, OTHER_KEY).headers["Location"], kid)
        self.assertProblem(self.post("/new-account", {"onlyReturnExisting": True}), "accountDoesNotExist")

    def test_list_of_orders(self) -> None:
        """Three orders a page, the account's own alone; there is no list where the CA keeps none."""
        kid, other = self.account(), self.account(OTHER_KEY)
        placed = [self.order(kid).headers["Location"] for _ in range(4)]
        path = json.loads(self.post(kid.removeprefix(BASE), None, kid=kid).body)["orders"].removeprefix(BASE)
        first, second = self.post(path, None, kid=kid), self.post(f"{path}/2", None, kid=kid)
        self.assertEqual(first.headers["Link"], f'<{BASE}{path}/2>;rel="next"')
        self.assertEqual(json.loads(first.body)["orders"] + json.loads(second.body)["orders"], placed)
        self.assertProblem(self.post(f"{path}/x", None, kid=kid), "malformed", 404)
        self.assertProblem(self.post(path, None, OTHER_KEY, other), "malformed", 404)
        self.ca.settings = CASettings(bad_nonce_rate=0, lists_orders=False)
        self.ca.forget()
        self.assertNotIn(b"orders", self.post("/new-account", {"termsOfServiceAgreed": True}).body)


class OrderTests(FrontEndCase):
    """RFC 8555 §7.4 to §7.6."""

    def test_identifiers(self) -> None:
        """Only names that a certificate can have, each once."""
        kid = self.account()
        for names in (
            ["localhost"], ["A.example"], ["a..example"], ["-a.example"], ["a-.example"], ["ab--c.example"],
            ["1.2.3.4"], ["*.*.example"], ["a.*.example"], ["a" * 64 + ".example"], [".".join("a" * 11)],
            ["_x.example"], ["é.example"],
        ):  # fmt: skip
            self.assertProblem(self.order(kid, names), "rejectedIdentifier")
        for names in ([], ["a.example"] * 2, [f"a{n}.example" for n in range(101)]):
            self.assertProblem(self.order(kid, names), "malformed")
        for identifiers in (7, [7], [{"type": "ip", "value": "1.2.3.4"}]):
            reply = self.post("/new-order", {"identifiers": identifiers}, kid=kid)
            self.assertEqual(reply.status, 400)
        self.assertEqual(self.order(kid, ["xn--a.example"]).status, 400)

    def test_others_resources(self) -> None:
        """Nobody sees or finalizes another account's order, authorization or certificate."""
        kid, other = self.account(), self.account(OTHER_KEY)
        path = self.ready_order(kid)
        order = json.loads(self.post(path, None, kid=kid).body)
        finalized = self.post(order["finalize"].removeprefix(BASE), {"csr": encode_b64jose(csr(NAMES))}, kid=kid)
        paths = [path, json.loads(finalized.body)["certificate"], *order["authorizations"]]
        for url in paths:
            one = url.removeprefix(BASE)
            self.assertProblem(self.post(one, None, OTHER_KEY, other), "unauthorized", 403)
            self.assertProblem(self.post(one + "x", None, kid=kid), "malformed", 404)
            self.assertProblem(self.post(one, {}, kid=kid), "malformed", 400)

    def test_finalize(self) -> None:
        """Only a ready order, only once, and only with a CSR for its names and a good key."""
        kid = self.account()
        pending = self.order(kid).headers["Location"].rpartition("/")[2]
        good = {"csr": encode_b64jose(csr(NAMES))}
        self.assertProblem(self.post(f"/finalize/{pending}", good, kid=kid), "orderNotReady", 403)
        path = self.ready_order(kid).replace("/order/", "/finalize/")
        weak, odd = rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()
        for bad in (
            csr(NAMES[:1]),
            csr([*NAMES, "b.example"]),
            csr(NAMES, common_name="b.example"),
            csr(NAMES, weak),
            _signed_by_itself(odd),
            csr(NAMES)[:-4] + bytes(4),
            b"",
        ):
            self.assertProblem(self.post(path, {"csr": encode_b64jose(bad)}, kid=kid), "badCSR")
        for bad in ({}, {"csr": 7}, {"csr": "A"}):
            self.assertProblem(self.post(path, bad, kid=kid), "malformed")
        done = self.post(path, good, kid=kid)
        self.assertEqual(json.loads(done.body)["status"], "valid")
        self.assertProblem(self.post(path, good, kid=kid), "orderNotReady", 403)

    def test_profiles(self) -> None:
        """An unknown profile is refused; a known one is shown in the order."""
        kid = self.account()
        self.assertProblem(self.order(kid, profile="none"), "invalidProfile")
        self.assertEqual(json.loads(self.order(kid, profile="shortlived").body)["profile"], "shortlived")

    def test_time_passes(self) -> None:
        """An order that nobody finalizes becomes invalid, as does a pending authorization."""
        kid = self.account()
        path = self.ready_order(kid)
        self.assertEqual(json.loads(self.post(path, None, kid=kid).body)["status"], "ready")
        self.ca.clock.advance(timedelta(hours=2).total_seconds())
        self.assertEqual(json.loads(self.post(path, None, kid=kid).body)["status"], "invalid")

    def test_revocation(self) -> None:
        """A certificate is revoked once, by its account, and then asks to be renewed at once."""
        kid, other = self.account(), self.account(OTHER_KEY)
        chain = self.issue(kid)
        der = x509.load_pem_x509_certificate(chain).public_bytes(serialization.Encoding.DER)
        wanted = {"certificate": encode_b64jose(der)}
        self.assertProblem(self.post("/revoke", wanted, OTHER_KEY, other), "unauthorized")
        self.assertGreater(self.renewal(chain)["start"], f"{NOW:%FT%TZ}")
        self.assertEqual(self.post("/revoke", wanted, kid=kid).status, 200)
        self.assertLessEqual(self.renewal(chain)["end"], f"{NOW:%FT%TZ}")
        self.assertProblem(self.post("/revoke", wanted, kid=kid), "alreadyRevoked")
        self.assertProblem(self.post("/revoke", {"certificate": "AAAA"}, kid=kid), "malformed")

    def test_replacement(self) -> None:
        """RFC 9773 §5: an order says which certificate it replaces: one of this account's, for some of its names."""
        kid, other = self.account(), self.account(OTHER_KEY)
        replaced = ari_id(self.issue(kid))
        path = self.order(kid, replaces=replaced).headers["Location"].removeprefix(BASE)
        self.assertEqual(json.loads(self.post(path, None, kid=kid).body)["replaces"], replaced)
        self.assertNotIn("replaces", json.loads(self.order(kid).body))
        unknown = f"{replaced.partition('.')[0]}.{encode_b64jose(bytes(16))}"
        for wrong in (7, "", "no dot", "a.b", unknown):
            self.assertProblem(self.order(kid, replaces=wrong), "malformed")
        self.assertProblem(self.order(kid, ["b.example"], replaces=replaced), "malformed")
        order = {"identifiers": [{"type": "dns", "value": NAMES[0]}], "replaces": replaced}
        self.assertProblem(self.post("/new-order", order, OTHER_KEY, other), "unauthorized")

    def test_replaced_once(self) -> None:
        """By one order, unless that has come to nothing."""
        kid = self.account()
        replaced = ari_id(self.issue(kid))
        self.assertEqual(self.order(kid, replaces=replaced).status, 201)
        self.assertProblem(self.order(kid, replaces=replaced), "alreadyReplaced", 409)
        self.ca.clock.advance(timedelta(hours=2).total_seconds())
        self.assertEqual(self.order(kid, replaces=replaced).status, 201)

    def test_retry_after(self) -> None:
        """A CA that wants to be asked more slowly says so while it validates, and only then."""
        self.ca.settings = CASettings(bad_nonce_rate=0, retry_after_seconds=3)
        self.ca._validate = lambda _: None
        self.ca.forget()
        kid = self.account()
        path = json.loads(self.order(kid).body)["authorizations"][0].removeprefix(BASE)
        before = self.post(path, None, kid=kid)
        challenge = json.loads(before.body)["challenges"][0]["url"].removeprefix(BASE)
        self.assertEqual(self.post(challenge, {}, kid=kid).headers["Retry-After"], "3")
        self.assertEqual(self.post(path, None, kid=kid).headers["Retry-After"], "3")
        self.assertNotIn("Retry-After", before.headers)


class RecordsTests(SynchronousTestCase):
    """What the CA remembers."""

    def test_bounded(self) -> None:
        """The oldest record gives way to a new one."""
        numbers = iter(range(100_000))
        records = db.Records[int](lambda: str(next(numbers)))
        for n in range(10_001):
            records.add(n)
        self.assertEqual((records.get("0"), records.get("1"), records.get("10000")), (None, 1, 10_000))
        self.assertEqual(records.find(lambda n: n > 5), "10000")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed_by_itself(key: ed25519.Ed25519PrivateKey) -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, None).public_bytes(serialization.Encoding.DER)
