"""The server's side: from a request's `Authorization` to who has made it, or what it is told. Pure.

Nothing is kept between two requests, so replicas with the same keys are one server. Method and path do not matter here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.peer_auth.errors import InvalidHeader
from nodetrust.peer_auth.tokens import Bearer, Opaque, open_bearer, open_opaque, seal_bearer, seal_opaque
from nodetrust.peer_auth.wire import Parameters, read_header, signed_by_client, signed_by_server

CHALLENGE_SECONDS = 5 * 60.0
"""go-libp2p's: how long a challenge can be answered; within it, more than once (js-libp2p repeats a lost request)."""

AHEAD_SECONDS = 60.0
"""What a replica has made may be so much from the future here: clocks differ."""


@dataclass(frozen=True, slots=True)
class ServerRules:
    """What replicas have in common.

    `key`: Ed25519, for py-libp2p reads no other. `hmac_keys`: the first one seals, all are good; each at least 32
    random bytes. `hostnames`: in lower case, without port; a request for another host is refused. `bearer_seconds`:
    nim-libp2p never drops one, so it must outlive the renewal of a certificate.
    """

    key: PrivateKey
    hmac_keys: tuple[bytes, ...]
    hostnames: Collection[str]
    bearer_seconds: float


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The request is `peer`'s. `header`, where there is one, is the `Authentication-Info` of its answer, whatever that
    is; js-libp2p fails where a second request is answered with one.
    """

    peer: PeerId
    header: str | None


@dataclass(frozen=True, slots=True)
class Unauthenticated:
    """401: `header` is its `WWW-Authenticate`; `reason` why, for a person."""

    header: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """400, with nothing else: what was sent can never be right."""

    reason: str


Verdict: TypeAlias = Authenticated | Unauthenticated | Refused


def host_is_ours(rules: ServerRules, host: str | None) -> bool:
    """Whether the header `Host`, which may have a port, names this server."""
    return host is not None and without_port(host).lower() in rules.hostnames


def authenticate(rules: ServerRules, authorization: str | None, host: str, now: float, challenge: str) -> Verdict:
    """Who makes a request to `host` (its header) at `now`, in seconds since the epoch.

    `challenge` is a new one, for whoever is to be challenged.
    """
    if not host_is_ours(rules, host):
        return Refused("a request for another host")
    request = _Request(rules, host, now, challenge)
    if authorization is None:
        return request.challenge("no credentials")
    try:
        return request.answer(read_header(authorization))
    except InvalidHeader as error:
        return Refused(str(error))


@dataclass(frozen=True, slots=True)
class _Request:
    rules: ServerRules
    host: str
    now: float
    fresh: str

    def answer(self, said: Parameters) -> Verdict:
        """In go-libp2p's order."""
        if said.sig is not None and said.opaque is not None:
            return self.verify(said, said.sig, said.opaque)
        if said.bearer is not None:
            return self.recognize(said.bearer)
        if said.challenge_server is not None and said.public_key is not None:
            return self.challenge("a challenge to the server", said)
        return Refused("credentials with neither a signature, nor a bearer, nor a challenge")

    def challenge(self, reason: str, said: Parameters | None = None) -> Unauthenticated:
        """Have the client sign; and sign ourselves, where it has begun with a challenge and its key."""
        client = None if said is None else said.public_key
        theirs = None if said is None else said.challenge_server
        key = self.rules.key
        sig = None
        if client is not None and theirs is not None:
            sig = key.sign(signed_by_server(theirs, client, self.host))
        opaque = Opaque(challenge_client=self.fresh, hostname=self.host, created=self.now, client=client)
        header = Parameters(
            challenge_client=self.fresh,
            public_key=key.public_key,
            sig=sig,
            opaque=seal_opaque(self.rules.hmac_keys[0], opaque),
        )
        return Unauthenticated(header.to_header(), reason)

    def verify(self, said: Parameters, sig: bytes, sealed: str) -> Verdict:
        """The client's answer to a challenge."""
        opaque = open_opaque(self.rules.hmac_keys, sealed)
        if opaque is None:
            return self.challenge("a challenge that is not from here")
        if not self.is_young(opaque.created, CHALLENGE_SECONDS):
            return self.challenge("a challenge that has expired")
        if opaque.hostname != self.host:
            return Refused("a challenge from another host name")
        return self.verify_signature(said, sig, opaque)

    def verify_signature(self, said: Parameters, sig: bytes, opaque: Opaque) -> Verdict:
        """By the key that was challenged or, where the server has begun, by the one that comes with the answer."""
        client = opaque.client or said.public_key
        if client is None:
            return Refused("a signature without a key")
        if said.public_key not in (None, client):
            return Refused("another key than the one that was challenged")
        signed = (name for name in self.hostnames if client.verify(sig, self.to_sign(opaque, name)))
        hostname = next(signed, None)
        if hostname is None:
            return Refused("a signature that is wrong")
        return Authenticated(client.peer_id, self.information(said.challenge_server, client, hostname))

    def recognize(self, sealed: str) -> Verdict:
        """A bearer."""
        bearer = open_bearer(self.rules.hmac_keys, sealed)
        if bearer is None:
            return self.challenge("a bearer that is not from here")
        if not self.is_young(bearer.created, self.rules.bearer_seconds):
            return self.challenge("a bearer that has expired")
        if without_port(bearer.hostname).lower() != without_port(self.host).lower():
            return self.challenge("a bearer for another host name")
        return Authenticated(bearer.peer, None)

    @property
    def hostnames(self) -> tuple[str, ...]:
        """What a client may take for our name: go-libp2p and js-libp2p have the port in it, nim-libp2p has not."""
        bare = without_port(self.host)
        return (self.host,) if bare == self.host else (self.host, bare)

    def to_sign(self, opaque: Opaque, hostname: str) -> bytes:
        """What the client has to sign."""
        return signed_by_client(opaque.challenge_client, hostname, self.rules.key.public_key)

    def information(self, theirs: str | None, client: PublicKey, hostname: str) -> str:
        """`Authentication-Info`: a bearer, and our signature where the client has sent a challenge only now."""
        key = self.rules.key
        bearer = Bearer(peer=client.peer_id, hostname=hostname, created=self.now)
        header = Parameters(
            sig=None if theirs is None else key.sign(signed_by_server(theirs, client, hostname)),
            bearer=seal_bearer(self.rules.hmac_keys[0], bearer),
        )
        return header.to_header()

    def is_young(self, created: float, seconds: float) -> bool:
        """Whether what was made then is still good."""
        return -AHEAD_SECONDS <= self.now - created <= seconds


def without_port(host: str) -> str:
    """The name in a header `Host`, as it is written there."""
    bare, colon, port = host.rpartition(":")
    return bare if colon and port.isdigit() else host
