"""Garbage on the streams of an honest connection: multistream, and every protocol that a role speaks."""

import os

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nodetrust.keyfile import load
from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.pubsub.parameters import PROTOCOLS as PUBSUB
from nodetrust.libp2p.yamux.window import INITIAL_WINDOW_BYTES
from nodetrust.libp2p.yamux.wire import FIN, RST, FrameType
from nodetrust.messages import (
    DNS01_PROTOCOL,
    ISSUE_INFO_PROTOCOL,
    ISSUE_PROTOCOL,
    PROOF_PROTOCOL,
    PROOF_PROTOCOL_NONCE,
    DNS01Request,
    IssueRequest,
    ProofRequest,
    ProofWrapper,
)
from nodetrust.service import KEY_FILE
from tests.robustness.attacker import NoiseAttacker, cut, frame, proposal
from tests.robustness.site import SiteCase

IDENTIFY = ("/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0")
ROLES = (PROOF_PROTOCOL, PROOF_PROTOCOL_NONCE, ISSUE_PROTOCOL, ISSUE_INFO_PROTOCOL, DNS01_PROTOCOL)


def uvarint(value: int) -> bytes:
    """Any number; libp2p's own varints end at 63 bits."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def tag(number: int, kind: int) -> bytes:
    return uvarint(number << 3 | kind)


numbers = st.one_of(
    st.integers(0, 2**64 - 1).map(uvarint),
    st.sampled_from([b"\xff" * 9 + b"\x01", b"\xff" * 10, b"\xff" * 20, b"\x80\x80\x00", b"\x80"]),
)
texts = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"\xff\xfe", b"ip4127-0-0-1.nodetrust.test", "IP4İ.ﬀ\u200b".encode(), b"a." * 200, bytes(3000)]
    ),
    st.builds(os.urandom, st.sampled_from([32, 36, 64])),
)
numbers_fields = st.builds(lambda number, value: tag(number, 0) + value, st.integers(1, 12), numbers)
flat_fields = st.one_of(
    numbers_fields,
    st.builds(lambda number, value: tag(number, 2) + uvarint(len(value)) + value, st.integers(1, 12), texts),
    st.builds(
        lambda number, size: tag(number, 2) + uvarint(size),
        st.integers(1, 12),
        st.sampled_from([1, 1 << 20, 2**31, 2**63]),
    ),
    st.builds(
        lambda number, kind: tag(number, kind) + bytes(8), st.integers(0, 12), st.sampled_from([1, 3, 4, 5, 6, 7])
    ),
)
garbage_messages = st.recursive(
    st.lists(flat_fields, max_size=5).map(b"".join),
    lambda inner: st.lists(
        st.one_of(
            flat_fields,
            st.builds(
                lambda number, body, times: (tag(number, 2) + uvarint(len(body)) + body) * times,
                st.integers(1, 12),
                inner,
                st.sampled_from([1, 1, 2, 50]),
            ),
        ),
        max_size=4,
    ).map(b"".join),
    max_leaves=6,
)
genuine = [
    ProofRequest(issuer=b"x" * 34, nonce=b"n" * 16).SerializeToString(),
    IssueRequest(
        proofs=[ProofWrapper(proof=b"p", signature=b"s")], supportedCryptos=[1, 2], csr=bytes(50)
    ).SerializeToString(),
    DNS01Request(fqdn="ip41-2-3-4.nodetrust.test", value="v" * 43).SerializeToString(),
]
mutated = st.builds(
    lambda message, place, byte, again: bytes(
        b if index != place % len(message) else byte for index, b in enumerate(message * again)
    ),
    st.sampled_from(genuine),
    st.integers(0, 100),
    st.integers(0, 255),
    st.integers(1, 2),
)
framed = st.one_of(
    st.one_of(garbage_messages, mutated, st.sampled_from(genuine)).map(encode_frame),
    st.builds(lambda message, lie: uvarint(max(0, len(message) + lie)) + message, garbage_messages, st.integers(-3, 3)),
    st.sampled_from(
        [
            b"\xff" * 30,
            uvarint(1 << 62),
            uvarint(1 << 21) + bytes(1000),
            b"\0" * 3000,
            uvarint(65537) + bytes(66000),
            b"\x80\x00",
        ]
    ),
    st.binary(max_size=200),
)
endings = st.sampled_from([b"", frame(FrameType.DATA, FIN, 1, 0), frame(FrameType.WINDOW_UPDATE, RST, 1, 0)])


class StreamTests(SiteCase):
    def bombard(self, targets, messages, examples: int, key=None):
        """An attack with these messages on one stream of each connection."""

        @settings(max_examples=examples, deadline=None)
        @given(
            st.sampled_from(targets),
            st.lists(messages, min_size=1, max_size=4),
            st.lists(st.integers(0, 300), max_size=3),
            endings,
        )
        def attack(target, pieces, places, ending):
            place, protocol_id = target
            assume(sum(map(len, pieces)) < INITIAL_WINDOW_BYTES - 200)  # more than its credit ends the connection
            with NoiseAttacker(place, key) as attacker:
                attacker.send_plain(attacker.stream(1, *cut(proposal(protocol_id) + b"".join(pieces), places)) + ending)
                self.assertTrue(attacker.survives(), "the whole connection was closed")
            self.barrier()

        return attack

    async def test_negotiation(self) -> None:
        """Garbage in place of a stream's negotiation resets that stream; the connection goes on."""

        @settings(max_examples=60, deadline=None)
        @given(
            st.sampled_from(self.tcp),
            st.one_of(st.binary(max_size=200), st.sampled_from([proposal(*["ls"] * 1000), b"\xff" * 100])),
            endings,
        )
        def attack(place, garbage, ending):
            with NoiseAttacker(place) as attacker:
                attacker.send_plain(attacker.stream(1, garbage) + ending)
                self.assertTrue(attacker.survives())
            self.barrier()

        await self.attack(attack)

    async def test_roles(self) -> None:
        """Garbage in the protocols of the roles."""
        dns, proof, issue, _ = self.tcp
        targets = [
            (dns, DNS01_PROTOCOL),
            (proof, PROOF_PROTOCOL),
            (proof, PROOF_PROTOCOL_NONCE),
            (issue, ISSUE_PROTOCOL),
            (issue, ISSUE_PROTOCOL),
            (issue, ISSUE_INFO_PROTOCOL),
        ]
        await self.attack(self.bombard(targets, framed, 200))

    async def test_admin(self) -> None:
        """Garbage in dns-01 from a peer that is allowed to set challenges."""
        key = load(self.site.folder / "issue" / KEY_FILE)
        self.tolerated = "refused a challenge"
        await self.attack(self.bombard([(self.tcp[0], DNS01_PROTOCOL)], framed, 100, key))

    async def test_identify_and_ping(self) -> None:
        """Garbage in identify, its push, and ping."""
        await self.attack(self.bombard([(place, protocol) for place in self.tcp for protocol in IDENTIFY], framed, 120))

    async def test_pubsub(self) -> None:
        """Garbage in place of RPCs."""
        await self.attack(
            self.bombard([(place, protocol) for place in self.tcp[1:] for protocol in PUBSUB], framed, 200)
        )

    async def test_many_streams(self) -> None:
        """Hundreds of streams that stop in the middle, of every protocol at once, end with their connection."""

        def attack() -> None:
            for place in self.tcp:
                for rest in (b"", b"\x05ab", encode_frame(b"\x08")):
                    with NoiseAttacker(place) as attacker:
                        protocols = (*IDENTIFY, *PUBSUB, *ROLES, "/none")
                        for number in range(300):
                            opening = proposal(protocols[number % len(protocols)])
                            attacker.send_plain(
                                attacker.stream(2 * number + 1, opening[: len(opening) - number % 3], rest)
                            )
                        self.assertTrue(attacker.survives())
                    self.barrier()

        await self.attack(attack)
