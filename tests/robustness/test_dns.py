"""Garbage on the DNS port, over UDP and TCP."""

import socket
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from nodetrust.command.deployment import ZONE
from tests.robustness.attacker import Attacker
from tests.robustness.site import SiteCase

MAX_UDP_ANSWER = 1232
QR = 0x80


def query(name: bytes, kind: int = 1, edns: bool = False, number: int = 0x4444) -> bytes:
    """A query for a dotted name in our zone."""
    labels = [*name.split(b"."), *ZONE.encode().split(b".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack(">HH", kind, 1)
    extra = b"\0" + struct.pack(">HHIH", 41, 4096, 0, 0) if edns else b""
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, int(edns)) + question + extra


good = st.builds(
    query,
    st.sampled_from([b"ip41-2-3-4", b"ip6--1", b"_acme-challenge.ip41-2-3-4", b"x", b"p", b"a.b.c.d", b"IP41-2-3-4"]),
    st.sampled_from([0, 1, 2, 5, 6, 15, 16, 28, 41, 46, 249, 250, 251, 252, 255, 257, 65535]),
    st.booleans(),
)
damaged = st.builds(
    lambda message, changes, size: bytes(_changed(message, changes))[: size or None],
    good,
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=4),
    st.sampled_from([0, 0, 0, 1, 11, 12, 13, 20, 35]),
)
# Counts that lie, names that point to themselves or forward, labels of reserved kinds, no end of records.
crafted = st.sampled_from(
    [
        struct.pack(">HHHHHH", 1, 0, 65535, 65535, 65535, 65535),
        struct.pack(">HHHHHH", 1, 0, 65535, 0, 0, 0) + b"\0\0\1\0\1" * 700,
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\xff\0\1\0\1",
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0)
        + b"".join(struct.pack(">H", 0xC000 | at) for at in range(14, 4000, 2)),
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + b"\x40\0\0\1\0\1",
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + b"\1a" * 2000 + b"\0\0\1\0\1",
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 3000)
        + b"\0\0\1\0\1"
        + (b"\0" + struct.pack(">HHIH", 41, 512, 0, 0)) * 300,
        struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 1) + b"\0\0\1\0\1\0" + struct.pack(">HHIH", 41, 0, 0, 65535),
        struct.pack(">HHHHHH", 1, 0x2800, 1, 0, 0, 0) + b"\0\0\6\0\1",
    ]
)
messages = st.one_of(st.binary(max_size=600), damaged, crafted, good)


def _changed(message: bytes, changes: list[tuple[int, int]]) -> bytearray:
    changed = bytearray(message)
    for place, value in changes:
        changed[place % len(changed)] = value
    return changed


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


class DnsTests(SiteCase):
    async def test_udp(self) -> None:
        """A response is never answered; anything else with one response that is no longer than it may be, or not."""

        def attack() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.connect(self.dns)
                udp.settimeout(5)

                @settings(max_examples=600)
                @given(messages)
                def exchange(message):
                    udp.send(message)
                    udp.send(query(b"ip41-2-3-4", number=0x7E57))
                    answers = []
                    while (answer := udp.recv(65535))[:2] != b"\x7e\x57":
                        answers.append(answer)
                    self.assert_silent()
                    self.assertLessEqual(len(answers), 1)
                    for answer in answers:
                        self.assertEqual(message[:2], answer[:2])
                        self.assertTrue(answer[2] & QR)
                        self.assertFalse(message[2] & QR, "a response was answered")
                        self.assertLessEqual(len(answer), MAX_UDP_ANSWER)

                exchange()

        await self.attack(attack)

    async def test_tcp(self) -> None:
        """Honest and damaged queries in any pieces are answered in order, or the connection is closed."""

        @settings(max_examples=200)
        @given(st.lists(messages, max_size=5), st.integers(1, 50), st.booleans())
        def attack(several, step, honestly):
            data = b"".join(map(framed, several)) if honestly else b"".join(several)
            with Attacker(self.dns) as attacker:
                for begin in range(0, min(len(data), 20 * step), step):
                    attacker.send(data[begin : begin + step])
                attacker.send(data[20 * step :])
                attacker.finish()
                attacker.read_to_end()
            self.barrier()

        await self.attack(attack)

    async def test_tcp_lengths(self) -> None:
        """A length that no query has closes the connection at once; so does a response."""

        def attack() -> None:
            response = bytearray(query(b"x"))
            response[2] |= QR
            for garbage in (b"\0\0", b"\0\x0b", b"\xff\xff", b"\x10\x01", framed(bytes(response))):
                with Attacker(self.dns) as attacker:
                    attacker.send(garbage)
                    self.assertEqual(b"", attacker.read_to_end())

        await self.attack(attack)

    async def test_tcp_split_and_cut(self) -> None:
        """A query split at any byte is answered; cut off there, it leaves nothing behind."""
        whole = framed(query(b"ip41-2-3-4", edns=True))

        def attack() -> None:
            for place in range(len(whole)):
                with Attacker(self.dns) as attacker:
                    attacker.send(whole[:place])
                    self.barrier()
                    attacker.send(whole[place:])
                    self.assertIn(bytes([1, 2, 3, 4]), attacker.receive())
                for ending in (Attacker.reset, Attacker.close, Attacker.finish):
                    with Attacker(self.dns) as attacker:
                        attacker.send(whole[:place])
                        ending(attacker)
            self.barrier()

        await self.attack(attack)
