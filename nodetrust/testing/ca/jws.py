"""Signed requests, as a server must check them. Pure. RFC 8555 §6.2, RFC 7515."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from acme import jws
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JoseError
from josepy.jwk import JWK, JWKEC, JWKRSA

from nodetrust.testing.ca.problems import Problem

MAX_BODY_BYTES = 50_000
"""Boulder's limit for a request."""

_MIN_RSA_BITS = 2048
_ALGORITHMS: Mapping[str, type[JWK]] = {"RS256": JWKRSA, "ES256": JWKEC}
_MEMBERS = {"protected", "payload", "signature"}

# What josepy's decoders let through for JSON of the wrong shape.
_DECODING_ERRORS = (JoseError, ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request whose form is right and whose signature nobody has checked yet."""

    payload: bytes
    url: str
    nonce: str
    key: JWK | None  # exactly one of key and account_url is set
    account_url: str | None
    signature: jws.Signature

    def check(self, key: JWK) -> None:
        """`Problem` unless the signature was made with `key`, and with an algorithm that fits it."""
        if not isinstance(key, _ALGORITHMS[self.signature.combined.alg.name]):
            raise Problem("badSignatureAlgorithm", "the algorithm does not fit the key")
        try:
            good = self.signature.verify(self.payload, key)
        except _DECODING_ERRORS:
            good = False
        if not good:
            raise Problem("malformed", "the JWS signature is wrong")


def parse_request(body: bytes, *, is_inner: bool = False) -> SignedRequest:
    """A flattened JWS; `Problem` for anything else. One that `is_inner` to another needs no nonce (RFC 8555 §7.3.5)."""
    if len(body) > MAX_BODY_BYTES:
        raise Problem("malformed", f"a request has at most {MAX_BODY_BYTES} bytes", 413)
    try:
        outer = json.loads(body)
        if not isinstance(outer, dict) or set(outer) != _MEMBERS:
            raise Problem("malformed", "a request is a flattened JWS without an unprotected header")
        parsed = jws.JWS.from_json(outer)
        header = json.loads(parsed.signature.protected)
        combined = parsed.signature.combined
    except _DECODING_ERRORS as error:
        raise Problem("malformed", "the request is not a JWS") from error
    if not isinstance(header, dict) or header.get("alg") not in _ALGORITHMS:
        raise Problem("badSignatureAlgorithm", f"the algorithms are {', '.join(_ALGORITHMS)}")
    nonce, url, account_url = "" if is_inner else header.get("nonce"), header.get("url"), header.get("kid")
    if not isinstance(nonce, str):
        raise Problem("badNonce", "the request has no nonce")
    if not isinstance(url, str) or (combined.jwk is None) == (account_url is None):
        raise Problem("malformed", "the protected header needs url, and one of jwk and kid")
    if account_url is not None and not isinstance(account_url, str):
        raise Problem("malformed", "kid is an account URL")
    return SignedRequest(parsed.payload, url, nonce, _accepted(combined.jwk), account_url, parsed.signature)


def _accepted(key: JWK | None) -> JWK | None:
    if key is None:
        return None
    if isinstance(key, JWKRSA) and key.key.key_size >= _MIN_RSA_BITS:
        return key
    if isinstance(key, JWKEC) and key.key.curve.name == ec.SECP256R1.name:
        return key
    raise Problem("badPublicKey", f"an account key is ECDSA P-256, or RSA of {_MIN_RSA_BITS} bits and more")
