"""Peers that are slow, or silent, in each state of a connection: the deadlines close them, and others are served."""

import time

from twisted.internet.threads import deferToThread

from nodetrust.dns.transport import tcp as dns_tcp
from nodetrust.libp2p import connection as libp2p_connection
from nodetrust.libp2p import upgrade
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.transports import websocket
from tests.robustness.attacker import NOISE, PATIENCE_SECONDS, TLS, Attacker, NoiseAttacker, proposal
from tests.robustness.site import SiteCase
from tests.robustness.test_early_close import agreed, first_message, half_a_frame, half_a_request, secured, upgraded
from tests.robustness.test_websocket import UPGRADE

SHORT_SECONDS = 1.0
"""In place of the real deadlines, which are up to ten times as long; an honest beginning must fit in."""

LOOK_SECONDS = 0.001
"""For a look at whether a connection has ended."""

EACH = 5
"""Connections held in each state: all of them together stay below what a host lets in."""


SECURE_STATES = (secured, half_a_request, upgraded, half_a_frame, agreed, first_message)


def has_ended(attacker: Attacker) -> bool:
    """Whether the server has closed the connection; the attacker's end is closed then, too."""
    attacker.socket.settimeout(LOOK_SECONDS)
    try:
        attacker.read_to_end()
    except TimeoutError:
        attacker.socket.settimeout(PATIENCE_SECONDS)
        return False
    attacker.close()
    return True


class SlowTests(SiteCase):
    async def setUp(self) -> None:
        await super().setUp()
        for module, name in (
            (dns_tcp, "FIRST_BYTE_SECONDS"),
            (dns_tcp, "MESSAGE_SECONDS"),
            (dns_tcp, "IDLE_SECONDS"),
            (upgrade, "FIRST_MESSAGE_SECONDS"),
            (upgrade, "INBOUND_SECONDS"),
            (websocket, "FIRST_BYTE_SECONDS"),
            (websocket, "HANDSHAKE_SECONDS"),
            (libp2p_connection, "NEGOTIATION_SECONDS"),
        ):
            self.patch(module, name, SHORT_SECONDS)

    def hold(self) -> list[Attacker]:
        """Connections that have stopped in every state there is before a peer is known."""
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)
        states = [
            (self.tcp[0], b""),
            (self.tcp[1], b"\x13/multistream"),
            (self.tcp[1], proposal()),
            (self.tcp[2], proposal("/none")),
            (self.tcp[2], proposal(NOISE)),
            (self.tcp[2], proposal(NOISE) + b"\0\x20" + bytes(20)),
            (self.tcp[3], proposal(NOISE) + b"\0\x20" + bytes(range(32))),
            (self.tcp[3], proposal(TLS)),
            (self.tcp[3], proposal(TLS) + hello),
            (self.ws, b""),
            (self.ws, UPGRADE[:-2]),
            (self.ws, UPGRADE),
            (self.wss, b""),
            (self.wss, hello),
            (self.dns, b""),
            (self.dns, b"\0"),
            (self.dns, b"\0\x20abc"),
        ]
        held = []
        for place, opening in states:
            for _ in range(EACH):
                attacker = Attacker(place)
                attacker.send(opening)
                held.append(attacker)
        return held + [state(self.wss) for state in SECURE_STATES for _ in range(EACH)]

    async def test_silence(self) -> None:
        """A peer that says nothing more, in any state, is dropped by the deadline of that state."""

        def attack() -> None:
            held = self.hold()
            began = time.monotonic()
            for attacker in held:
                with attacker:
                    attacker.read_to_end()
            self.assertLess(time.monotonic() - began, 3 * SHORT_SECONDS)
            self.barrier()

        await self.attack(attack)

    async def test_dribbling(self) -> None:
        """Bytes that trickle in do not move a deadline."""

        def attack() -> None:
            held = self.hold()
            began = time.monotonic()
            while held:
                self.assertLess(time.monotonic() - began, 4 * SHORT_SECONDS)
                time.sleep(SHORT_SECONDS / 10)
                for attacker in held:
                    attacker.send(b"\0")
                held = [attacker for attacker in held if not has_ended(attacker)]
            self.barrier()

        await self.attack(attack)

    async def test_served_meanwhile(self) -> None:
        """While many stand half-way, honest peers are served."""
        held = await deferToThread(self.hold)
        await self._be_honest()
        for attacker in held:
            attacker.close()
        await self.check()

    async def test_streams(self) -> None:
        """A stream whose negotiation never ends is reset; its connection lives on."""

        def attack() -> None:
            key = PrivateKey.generate()
            with NoiseAttacker(self.tcp[1], key) as attacker:
                for number in range(1, 100, 2):
                    attacker.send_plain(attacker.stream(number, proposal("/none")))
                self.assertTrue(attacker.survives())
                [accepted] = self.site.proof.host.connections(key.peer_id)
                began = time.monotonic()
                while any(number % 2 for number in list(accepted._session.streams)):
                    self.assertLess(time.monotonic() - began, 4 * SHORT_SECONDS)
                    time.sleep(SHORT_SECONDS / 10)
                self.assertTrue(attacker.survives())

        await self.attack(attack)
