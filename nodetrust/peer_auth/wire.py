"""The parameters of the three headers ⇄ values, and what is signed. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidKey
from nodetrust.libp2p.keys import PublicKey
from nodetrust.peer_auth.errors import InvalidHeader

SCHEME = "libp2p-PeerID"

MAX_HEADER_CHARACTERS = 2048
"""Of a header's value: the specification's advice, and what go-libp2p and js-libp2p take. A client's RSA key of 4096
bits, twice as base64, leaves some 60 characters for the host name."""

MIN_CHALLENGE_CHARACTERS = 32
"""go-libp2p refuses a peer's challenge that is shorter."""

CHALLENGE_BYTES = 32
"""go-libp2p's challenges; py-libp2p reads only those that make 44 characters."""

# Values are quoted in every header that is sent; RFC 9110 §11.2 lets a token stand without.
_PARAMETER = re.compile(r'([A-Za-z-]+)[ \t]*=[ \t]*(?:"([^"\\]*)"|([A-Za-z0-9_.~+/-]+=*))(?![^ \t,])')
# RFC 9110 has commas; the specification's prose has spaces in Authentication-Info.
_BETWEEN = re.compile(r"[ \t,]*")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What one header says. Challenges are the literal text, `opaque` and `bearer` are for who has made them."""

    challenge_client: str | None = None
    challenge_server: str | None = None
    public_key: PublicKey | None = None
    sig: bytes | None = None
    opaque: str | None = None
    bearer: str | None = None

    def to_header(self) -> str:
        """The header's value. nim-libp2p splits at commas, and takes the first part that contains a name: the order of
        the fields above is the one in which it finds each.
        """
        texts = (
            ("challenge-client", self.challenge_client),
            ("challenge-server", self.challenge_server),
            ("public-key", None if self.public_key is None else to_base64(self.public_key.to_protobuf())),
            ("sig", None if self.sig is None else to_base64(self.sig)),
            ("opaque", self.opaque),
            ("bearer", self.bearer),
        )
        return f"{SCHEME} " + ", ".join(f'{name}="{text}"' for name, text in texts if text is not None)


def read_header(value: str) -> Parameters:
    """The parameters of a header; those that nobody knows are passed over.

    :raise InvalidHeader: see there.
    """
    texts = _split(value)
    key = texts.get("public-key")
    sig = texts.get("sig")
    return Parameters(
        challenge_client=_challenge(texts.get("challenge-client")),
        challenge_server=_challenge(texts.get("challenge-server")),
        public_key=None if key is None else _public_key(key),
        sig=None if sig is None else from_base64(sig),
        opaque=texts.get("opaque"),
        bearer=texts.get("bearer"),
    )


def of_our_scheme(values: Iterable[str]) -> str | None:
    """Of several headers of one name, such as a server's that offers several schemes, the one that is ours."""
    return next((value for value in values if _rest(value) is not None), None)


def signed_by_client(challenge_client: str, hostname: str, server: PublicKey) -> bytes:
    """What the client's signature covers."""
    return _data_to_sign(
        [
            ("challenge-client", challenge_client.encode()),
            ("hostname", hostname.encode()),
            ("server-public-key", server.to_protobuf()),
        ]
    )


def signed_by_server(challenge_server: str, client: PublicKey, hostname: str) -> bytes:
    """What the server's signature covers."""
    return _data_to_sign(
        [
            ("challenge-server", challenge_server.encode()),
            ("client-public-key", client.to_protobuf()),
            ("hostname", hostname.encode()),
        ]
    )


def challenge_of(random: bytes) -> str:
    """The text of a challenge, from `CHALLENGE_BYTES` of randomness."""
    return to_base64(random)


def to_base64(data: bytes) -> str:
    """With padding: go-libp2p needs it."""
    return base64.urlsafe_b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """With padding or without, as the specification says.

    :raise InvalidHeader: it is something else.
    """
    bare = text.rstrip("=")
    try:
        if not _BASE64URL.fullmatch(text):
            raise binascii.Error
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        raise InvalidHeader(f"not base64url: {text[:40]!r}") from None


def _data_to_sign(parameters: Sequence[tuple[str, bytes]]) -> bytes:
    """Sorted by name: they are given so."""
    parts = [name.encode() + b"=" + value for name, value in parameters]
    return SCHEME.encode() + b"".join(varint.encode(len(part)) + part for part in parts)


def _rest(value: str) -> str | None:
    """What stands behind the scheme, whose case does not matter (RFC 9110 §11.1)."""
    scheme, _, rest = value.strip().partition(" ")
    return rest if scheme.lower() == SCHEME.lower() else None


def _split(value: str) -> dict[str, str]:
    if len(value) > MAX_HEADER_CHARACTERS:
        raise InvalidHeader(f"a header of {len(value)} characters, allowed are {MAX_HEADER_CHARACTERS}")
    rest = _rest(value)
    if rest is None or not rest.isascii():
        raise InvalidHeader(f"not a header of the scheme {SCHEME}")
    texts: dict[str, str] = {}
    position = _skip(rest, 0)
    while position < len(rest):
        found = _PARAMETER.match(rest, position)
        if found is None:
            raise InvalidHeader("a header with something else than parameters")
        name = found[1].lower()
        if name in texts:
            raise InvalidHeader(f"a header that says {name} twice")
        texts[name] = found[2] if found[2] is not None else found[3]
        position = _skip(rest, found.end())
    return texts


def _skip(text: str, position: int) -> int:
    found = _BETWEEN.match(text, position)
    return position if found is None else found.end()


def _challenge(text: str | None) -> str | None:
    if text is not None and len(text) < MIN_CHALLENGE_CHARACTERS:
        raise InvalidHeader(f"a challenge of {len(text)} characters, needed are {MIN_CHALLENGE_CHARACTERS}")
    return text


def _public_key(text: str) -> PublicKey:
    try:
        return PublicKey.from_protobuf(from_base64(text))
    except InvalidKey as error:
        raise InvalidHeader(str(error)) from None
