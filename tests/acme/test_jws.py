"""Account keys, external accounts, and what they sign."""

import hmac
import json
from datetime import UTC, datetime

from acme import jws as acme_jws
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from josepy.json_util import decode_b64jose
from josepy.jwk import JWKRSA
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeUsageError,
    ExternalAccount,
    account_key_from_pem,
    account_key_to_pem,
    certificate_key_from_pem,
    generate_account_key,
)
from nodetrust.acme.jws import key_change, signed_request
from nodetrust.acme.urls import Origin

ORIGIN = Origin.of_directory("https://ca.example/directory")
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def pem_of(key) -> bytes:
    """A private key, PKCS#8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


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

    def test_certificate_keys(self) -> None:
        """A certificate's key may be of P-384; what signs no JWS is refused."""
        for curve in (ec.SECP256R1(), ec.SECP384R1()):
            key = certificate_key_from_pem(pem_of(ec.generate_private_key(curve)))
            body = signed_request(b"{}", key, url="https://ca.example/x", nonce="AAAA", account_url=None)
            signature = acme_jws.JWS.from_json(json.loads(body)).signature
            self.assertTrue(signature.verify(b"{}"))
        for other in (ec.generate_private_key(ec.SECP521R1()), ed25519.Ed25519PrivateKey.generate()):
            self.assertRaises(AcmeUsageError, certificate_key_from_pem, pem_of(other))

    def test_key_change(self) -> None:
        """The inner JWS: signed by the new key, which goes along, without a nonce; it names account and old key."""
        old, new = generate_account_key(), generate_account_key()
        inner = json.loads(key_change(old, new, "https://ca.example/acct/1", "https://ca.example/change"))
        signature = acme_jws.JWS.from_json(inner).signature
        header, payload = json.loads(signature.protected), decode_b64jose(inner["payload"])
        self.assertEqual(set(header), {"alg", "jwk", "url"})
        self.assertEqual((header["url"], header["jwk"]), ("https://ca.example/change", new.public_key().to_json()))
        self.assertEqual(
            json.loads(payload), {"account": "https://ca.example/acct/1", "oldKey": old.public_key().to_json()}
        )
        self.assertTrue(signature.verify(payload, new.public_key()))
        self.assertNotIn(b'"d"', payload)

    def test_external_account(self) -> None:
        """A MAC over our public key, with the CA's key ID and URL and no nonce. RFC 8555 §7.3.4."""
        account = ExternalAccount.parse("kid-1", " AAECAwQFBgcICQoLDA0ODw== \n")
        self.assertEqual(account.hmac_key, bytes(range(16)))
        self.assertNotIn("0b", repr(account))
        key = generate_account_key()
        binding = account.binding(key, "https://ca.example/new")
        protected = decode_b64jose(str(binding["protected"]))
        self.assertEqual(json.loads(protected), {"alg": "HS256", "kid": "kid-1", "url": "https://ca.example/new"})
        self.assertEqual(json.loads(decode_b64jose(str(binding["payload"]))), key.public_key().to_json())
        signed = f"{binding['protected']}.{binding['payload']}".encode()
        self.assertEqual(decode_b64jose(str(binding["signature"])), hmac.digest(bytes(range(16)), signed, "sha256"))
        for kid, text in (("", "AAAA"), ("kid", ""), ("kid", "ä"), ("kid", "A")):
            self.assertRaises(AcmeUsageError, ExternalAccount.parse, kid, text)
