"""The client's side: which header to send, and what an answer means. Pure.

It begins, so that the server signs first; a server that does not is answered all the same, and signs last. What it has
been given it brings along the next time. Send what the machine says until `receive` returns true: the answer that it
was given then is the real one. Cookies, which some servers need between the requests, are for who sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.peer_auth.errors import InvalidHeader, ServerNotProven, ServerRefused
from nodetrust.peer_auth.wire import Parameters, of_our_scheme, read_header, signed_by_client, signed_by_server

MAX_REQUESTS = 5
"""go-libp2p's; a stale bearer and a new handshake take three."""

UNAUTHORIZED = 401

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Token:
    """What a server gave us, and who it was."""

    bearer: str
    server: PeerId


def hostname_of(url: str) -> str:
    """What is signed for a server: its name in lower case, with its port where that is not the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


class ClientHandshake:
    """One request, and those that must go before it."""

    def __init__(self, key: PrivateKey, hostname: str, challenge: str, token: Token | None = None) -> None:
        """`hostname`: see `hostname_of`. `challenge`: a new one (`challenge_of`). `token`: of an earlier handshake."""
        self._key = key
        self._hostname = hostname
        self._challenge = challenge
        self._sent = 0
        self._unproven: PublicKey | None = None
        self.token = token
        self.server = None if token is None else token.server
        """Who the server is, once that is proven."""
        self.authorization = ""
        """For the next request."""
        self.sends_body = False
        """Whether the next request is the real one; one that is not has no body, and its method does not matter."""
        if token is None:
            self._begin()
        else:
            self._send(Parameters(bearer=token.bearer), real=True)

    def receive(self, status: int, www_authenticate: Sequence[str], authentication_info: Sequence[str]) -> bool:
        """Take the answer to the last request, with all its headers of the two names; whether it is the last one.

        Raises `PeerAuthError`, and what was sent is then in vain.
        """
        if status == UNAUTHORIZED:
            self._challenged(www_authenticate)
            return False
        if not self.sends_body:
            raise ServerRefused(f"the server answers a request for its challenge with status {status}")
        self._informed(authentication_info)
        return True

    def _begin(self) -> None:
        self.token = self.server = self._unproven = None
        self._send(Parameters(challenge_server=self._challenge, public_key=self._key.public_key), real=False)

    def _challenged(self, headers: Sequence[str]) -> None:
        if self._sent >= MAX_REQUESTS:
            raise ServerRefused(f"the server still wants other credentials after {self._sent} requests")
        header = of_our_scheme(headers)
        if header is None:
            raise ServerRefused("the server does not speak libp2p-PeerID")
        if self.sends_body:  # a bearer, or the answer to a challenge, that it does not take any more
            self._begin()
        else:
            self._answer(read_header(header))

    def _answer(self, said: Parameters) -> None:
        """The first challenge of a handshake."""
        if said.challenge_client is None or said.public_key is None or said.opaque is None:
            raise InvalidHeader("a challenge without challenge-client, public-key or opaque")
        signature = self._key.sign(signed_by_client(said.challenge_client, self._hostname, said.public_key))
        if said.sig is None:
            self._unproven = said.public_key
            answer = Parameters(
                challenge_server=self._challenge,
                public_key=self._key.public_key,
                sig=signature,
                opaque=said.opaque,
            )
        else:
            self._prove(said.public_key, said.sig)
            answer = Parameters(sig=signature, opaque=said.opaque)
        self._send(answer, real=True)

    def _informed(self, headers: Sequence[str]) -> None:
        header = of_our_scheme(headers)
        said = Parameters() if header is None else read_header(header)
        if self._unproven is not None:
            if said.sig is None:
                raise ServerNotProven("the server has not signed our challenge")
            self._prove(self._unproven, said.sig)
        if said.bearer is not None and self.server is not None:
            self.token = Token(said.bearer, self.server)

    def _prove(self, server: PublicKey, sig: bytes) -> None:
        if not server.verify(sig, signed_by_server(self._challenge, self._key.public_key, self._hostname)):
            raise ServerNotProven(f"the server has not signed our challenge with the key of {server.peer_id}")
        self._unproven = None
        self.server = server.peer_id

    def _send(self, parameters: Parameters, *, real: bool) -> None:
        self._sent += 1
        self.sends_body = real
        self.authorization = parameters.to_header()
