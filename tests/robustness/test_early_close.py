"""Secure WebSockets that end early, in each state that a connection goes through: nothing is left, or logged."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable
from itertools import cycle

from nodetrust.libp2p.noise.wire import encode_frame
from tests.robustness.attacker import NOISE, Attacker, NoiseAttacker, Place, proposal
from tests.robustness.site import SiteCase
from tests.robustness.test_websocket import BINARY, UPGRADE, WsAttacker, ws_frame

ROUNDS = int(os.environ.get("NODETRUST_EARLY_CLOSES", "60"))
"""Connections that end in each state."""

HELLO = bytes.fromhex("160301020001 0001fc0303".replace(" ", "")) + bytes(40)
"""How a ClientHello of 512 bytes begins."""


class FramedAttacker(WsAttacker):
    """On a secure WebSocket: what is sent goes out as binary messages, what the server's messages say is received."""

    def __init__(self, place: Place) -> None:
        super().__init__(place, secure=True)
        self._raw = b""
        self.upgrade()
        self._framed = True

    _framed = False

    def send(self, data: bytes) -> None:
        super().send(ws_frame(BINARY, data) if self._framed else data)

    def receive(self) -> bytes:
        if not self._framed:
            return super().receive()
        while (message := self._message()) is None:
            data = super().receive()
            if not data:
                return b""
            self._raw += data
        return message

    def _message(self) -> bytes | None:
        """The first message that has come in full; the server's are not masked, and short here."""
        size = self._raw[1] if len(self._raw) > 1 else 0
        begin = 4 if size == 126 else 2
        end = begin + (int.from_bytes(self._raw[2:4], "big") if size == 126 else size)
        if len(self._raw) < max(end, 4):
            return None
        message, self._raw = self._raw[begin:end], self._raw[end:]
        return message


class SecureNoiseAttacker(NoiseAttacker, FramedAttacker):
    """And with a genuine Noise handshake in it."""


def connected(place: Place) -> Attacker:
    """A TCP connection."""
    return Attacker(place)


def half_a_hello(place: Place) -> Attacker:
    """The beginning of TLS."""
    attacker = Attacker(place)
    attacker.send(HELLO)
    return attacker


def secured(place: Place) -> Attacker:
    """TLS, and no request."""
    return WsAttacker(place, secure=True)


def half_a_request(place: Place) -> Attacker:
    """Headers without an end."""
    attacker = secured(place)
    attacker.send(UPGRADE[:-2])
    return attacker


def upgraded(place: Place) -> Attacker:
    """A WebSocket on which nothing was said."""
    return FramedAttacker(place)


def half_a_frame(place: Place) -> Attacker:
    """A message of which half has come."""
    attacker = secured(place)
    attacker.send(UPGRADE + ws_frame(BINARY, proposal(NOISE))[:15])
    return attacker


def agreed(place: Place) -> Attacker:
    """Noise was proposed."""
    attacker = FramedAttacker(place)
    attacker.send(proposal(NOISE))
    return attacker


def first_message(place: Place) -> Attacker:
    """The first of Noise's three messages was sent."""
    attacker = agreed(place)
    attacker.send(encode_frame(os.urandom(32)))
    return attacker


def authenticated(place: Place) -> Attacker:
    """Noise is over, and the muxer has started."""
    return SecureNoiseAttacker(place)


def half_a_negotiation(place: Place) -> Attacker:
    """A stream is open on which no protocol was agreed."""
    attacker = SecureNoiseAttacker(place)
    attacker.send_plain(attacker.stream(1, proposal()))
    return attacker


def half_a_request_on_a_stream(place: Place) -> Attacker:
    """A stream is open on which half a ping has come."""
    attacker = SecureNoiseAttacker(place)
    attacker.send_plain(attacker.stream(1, proposal("/ipfs/ping/1.0.0"), os.urandom(16)))
    return attacker


STATES: list[Callable[[Place], Attacker]] = [
    connected,
    half_a_hello,
    secured,
    half_a_request,
    upgraded,
    half_a_frame,
    agreed,
    first_message,
    authenticated,
    half_a_negotiation,
    half_a_request_on_a_stream,
]


def close(attacker: Attacker) -> None:
    """With a FIN, and without TLS's or WebSocket's goodbye."""


def unwrap(attacker: Attacker) -> None:
    """With TLS's goodbye, where there is TLS."""
    if isinstance(attacker.socket, ssl.SSLSocket):
        # It fails where the server's data stands before its goodbye; its own has gone out.
        with contextlib.suppress(OSError, ValueError):
            attacker.socket.unwrap()


class EarlyCloseTests(SiteCase):
    timeout = 900

    async def test_in_each_state(self) -> None:
        """Closed, reset, half-closed, or ended in TLS's order: no object, descriptor or log line is left of it."""

        def attack() -> None:
            endings = cycle([close, Attacker.reset, Attacker.finish, unwrap])
            for state in STATES:
                for _ in range(ROUNDS):
                    with state(self.wss) as attacker:
                        next(endings)(attacker)
                self.barrier()

        await self.attack(attack)
