"""Account keys and signed requests. Pure, but for the randomness of a new key. RFC 8555 §6.2, RFC 7515."""

from acme import jws
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.json_util import decode_b64jose
from josepy.jwa import ES256, RS256
from josepy.jwk import JWK, JWKEC, JWKRSA

from nodetrust.acme.errors import AcmeUsageError


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
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise AcmeUsageError("the ACME account key is not a PEM private key") from error
    if isinstance(private, rsa.RSAPrivateKey):
        return JWKRSA(key=private)
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return JWKEC(key=private)
    raise AcmeUsageError("the ACME account key must be RSA or ECDSA P-256")


def signed_request(payload: bytes, key: JWK, *, url: str, nonce: str, account_url: str | None) -> bytes:
    """The body of a POST, a flattened JWS. `b""` is POST-as-GET; without an account URL the public key goes along."""
    algorithm = RS256 if isinstance(key, JWKRSA) else ES256
    signed = jws.JWS.sign(payload, key=key, alg=algorithm, nonce=decode_b64jose(nonce), url=url, kid=account_url)
    body: str = signed.json_dumps()
    return body.encode()
