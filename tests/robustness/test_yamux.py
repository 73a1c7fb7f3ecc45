"""Garbage in yamux, after a genuine handshake."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nodetrust.libp2p.yamux.wire import ACK, FIN, RST, SYN, FrameType, encode
from tests.robustness.attacker import NoiseAttacker, frame, proposal
from tests.robustness.site import SiteCase

DATA, WINDOW, PING, GO_AWAY = FrameType
MAX_U32 = 2**32 - 1

headers = st.builds(
    frame,
    st.integers(0, 4) | st.integers(0, 255),
    st.sampled_from([0, SYN, ACK, FIN, RST, SYN | FIN, SYN | RST, SYN | ACK | FIN | RST]) | st.integers(0, 65535),
    st.integers(0, 9) | st.sampled_from([MAX_U32, MAX_U32 - 1, 1 << 31]),
    st.integers(0, 40) | st.sampled_from([262144, 262145, 1 << 24, 1 << 31, MAX_U32]),
    st.sampled_from([0, 0, 0, 0, 1, 255]),
)
openings = st.sampled_from(
    ["/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/meshsub/1.1.0", "/p2p/nodetrust/proof/1.0.0", "/none"]
).map(proposal)
chunks = st.one_of(
    headers,
    st.binary(max_size=60),
    st.builds(
        lambda number, opening: encode(DATA, SYN, number, len(opening)) + opening,
        st.sampled_from([1, 3, 5, 7]),
        openings,
    ),
)


class YamuxTests(SiteCase):
    async def test_random_frames(self) -> None:
        """Random frames among honest ones: the server goes on or hangs up, and keeps nothing."""

        @settings(max_examples=150, deadline=None)
        @given(st.sampled_from(self.tcp), st.lists(chunks, max_size=30), st.booleans())
        def attack(place, pieces, abruptly):
            with NoiseAttacker(place) as attacker:
                for piece in pieces:
                    attacker.send_plain(piece)
                attacker.finish()
                attacker.read_to_end()
                if abruptly:
                    attacker.reset()
            self.barrier()

        await self.attack(attack)

    async def test_floods(self) -> None:
        """Each flood is answered within bounds, or with the end of the connection; then the server is as before."""
        streams = range(1, 20_001, 2)
        floods = {
            "SYN": [frame(WINDOW, SYN, number, 0) for number in streams],
            "SYN and RST": [frame(WINDOW, SYN, number, 0) + frame(WINDOW, RST, number, 0) for number in streams],
            "SYN with RST": [frame(WINDOW, SYN | RST, number, 0) for number in streams],
            "SYN with FIN": [frame(DATA, SYN | FIN, number, 0) for number in streams],
            "SYN of one stream": [frame(WINDOW, SYN, 1, 0)] * 10_000,
            "RST of unknown streams": [frame(WINDOW, RST, number, 0) for number in streams],
            "data of unknown streams": [frame(DATA, 0, number, 20) + bytes(20) for number in streams],
            "window": [frame(WINDOW, SYN, 1, 0)] + [frame(WINDOW, 0, 1, MAX_U32)] * 10_000,
            "empty data": [frame(WINDOW, SYN, 1, 0)] + [frame(DATA, 0, 1, 0)] * 10_000,
            "pings": [frame(PING, SYN, 0, number) for number in range(10_000)],
            "pongs": [frame(PING, ACK, 0, number) for number in range(10_000)],
            "ACKs": [frame(WINDOW, ACK, number, 0) for number in range(2, 20_002, 2)],
            "GoAway": [frame(GO_AWAY, 0, 0, code) for code in range(1000)],
            "our parity": [frame(WINDOW, SYN, number, 0) for number in range(2, 2000, 2)],
            "body beyond the credit": [frame(DATA, SYN, 1, 262145) + bytes(262145)],
            "body of 4 GiB": [frame(DATA, SYN, 1, MAX_U32), bytes(1 << 20)],
            "version": [frame(DATA, 0, 1, 0, version=1)],
            "type": [frame(9, 0, 1, 0)],
            "refused protocols": [
                frame(DATA, SYN, number, 36) + proposal("/none")[:20].ljust(36, b"\x0f") for number in range(1, 2001, 2)
            ],
        }
        harmless = {
            "RST of unknown streams",
            "data of unknown streams",
            "empty data",
            "pings",
            "pongs",
            "ACKs",
            "refused protocols",
        }
        either = {"SYN", "SYN with FIN"}  # more answers than may wait, unless the socket takes them in time

        def attack() -> None:
            for name, frames in floods.items():
                with NoiseAttacker(self.tcp[2]) as attacker:
                    attacker.send_plain(b"".join(frames))
                    survived = attacker.survives()
                    if name not in either:
                        self.assertEqual(name in harmless, survived, name)
                self.barrier()

        await self.attack(attack)

    async def test_unread_answers(self) -> None:
        """A peer that asks and asks but reads nothing makes the server stop, not gather."""
        pings = b"".join(frame(PING, SYN, 0, number) for number in range(10_000))
        opens = b"".join(frame(WINDOW, SYN, number, 0) + frame(WINDOW, RST, number, 0) for number in range(1, 5000, 2))

        def attack() -> None:
            for flood in (pings, opens):
                with NoiseAttacker(self.tcp[2]) as attacker:
                    attacker.socket.settimeout(0.3)
                    try:
                        for _ in range(50):
                            attacker.send_plain(flood)
                    except TimeoutError:
                        pass
                    attacker.reset()
                self.barrier()

        await self.attack(attack)
