"""Account keys, external accounts, signed requests. Pure, but for a new key. RFC 8555 §6.2, RFC 7515."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from acme import jws
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.errors import Error as JoseError
from josepy.json_util import decode_b64jose
from josepy.jwa import ES256, ES384, HS256, RS256, JWASignature
from josepy.jwk import JWK, JWKEC, JWKRSA, JWKOct

from nodetrust.acme.errors import AcmeUsageError

_CURVES = {"secp256r1": ES256, "secp384r1": ES384}


def generate_account_key() -> JWK:
    """A new P-256 key: every CA takes it, and it signs thirty times as fast as RSA."""
    return JWKEC(key=ec.generate_private_key(ec.SECP256R1()))


def account_key_to_pem(key: JWK) -> bytes:
    """The private key as PKCS#8 PEM, not encrypted: whoever stores it guards it."""
    pem: bytes = key.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


def account_key_from_pem(pem: bytes) -> JWK:
    """The key of `account_key_to_pem`; `AcmeUsageError` unless it is a P-256 or RSA private key."""
    return _private_key(pem, ("secp256r1",), "the ACME account key")


def certificate_key_from_pem(pem: bytes) -> JWK:
    """A certificate's own private key, for a revocation that it signs; RSA, or ECDSA P-256 or P-384."""
    return _private_key(pem, tuple(_CURVES), "the certificate's key")


def signed_request(payload: bytes, key: JWK, *, url: str, nonce: str, account_url: str | None) -> bytes:
    """The body of a POST, a flattened JWS. `b""` is POST-as-GET; without an account URL the public key goes along."""
    signed = jws.JWS.sign(payload, key=key, alg=_algorithm(key), nonce=decode_b64jose(nonce), url=url, kid=account_url)
    body: str = signed.json_dumps()
    return body.encode()


def key_change(old_key: JWK, new_key: JWK, account_url: str, url: str) -> bytes:
    """The payload of keyChange at `url`: the new key vouches, in a JWS of its own, for the account. RFC 8555 §7.3.5."""
    payload = json.dumps({"account": account_url, "oldKey": old_key.public_key().to_json()}).encode()
    signed = jws.JWS.sign(payload, key=new_key, alg=_algorithm(new_key), nonce=None, url=url)
    inner: str = signed.json_dumps()
    return inner.encode()


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What ties an ACME account to one that somebody has with the CA already. RFC 8555 §7.3.4."""

    kid: str
    hmac_key: bytes = field(repr=False)

    @classmethod
    def parse(cls, kid: str, key_b64url: str) -> ExternalAccount:
        """From what CAs hand out: a key ID, and a key in base64url. `AcmeUsageError` unless they are that."""
        try:
            hmac_key: bytes = decode_b64jose(key_b64url.strip().rstrip("="))
        except JoseError as error:
            raise AcmeUsageError("the key of the external account is not base64url") from error
        if not kid or not hmac_key:
            raise AcmeUsageError("the external account needs a key ID and a key")
        return cls(kid, hmac_key)

    def binding(self, account_key: JWK, url: str) -> dict[str, object]:
        """The `externalAccountBinding` of a request to newAccount at `url`."""
        payload = json.dumps(account_key.public_key().to_json()).encode()
        signed = jws.JWS.sign(payload, key=JWKOct(key=self.hmac_key), alg=HS256, nonce=None, url=url, kid=self.kid)
        found: dict[str, object] = json.loads(signed.json_dumps())
        return found


def _private_key(pem: bytes, curves: Sequence[str], what: str) -> JWK:
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AcmeUsageError(f"{what} is not a PEM private key") from error
    if isinstance(private, rsa.RSAPrivateKey):
        return JWKRSA(key=private)
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in curves:
        return JWKEC(key=private)
    raise AcmeUsageError(f"{what} must be RSA or ECDSA, on {' or '.join(curves)}")


def _algorithm(key: JWK) -> JWASignature:
    return RS256 if isinstance(key, JWKRSA) else _CURVES[key.key.curve.name]
