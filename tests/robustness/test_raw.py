"""Whatever bytes come at connect, on every TCP port of every role."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.robustness.attacker import NOISE, TLS, Attacker, cut, proposal
from tests.robustness.site import SiteCase

openings = st.sampled_from([b"", b"GET / HTTP/1.1\r\nHost: x\r\n", proposal(), proposal(NOISE), proposal(TLS)])
tails = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda byte, size: byte * size, st.binary(min_size=1, max_size=3), st.integers(0, 20000)),
)


class RawTests(SiteCase):
    async def test_random_bytes(self) -> None:
        """Random bytes, with and without an honest beginning, in pieces, ended in any way: the server hangs up."""

        @settings(max_examples=150, deadline=None)
        @given(
            st.sampled_from([*self.tcp, self.ws, self.wss, self.dns]),
            openings,
            tails,
            st.lists(st.integers(0, 40), max_size=3),
            st.sampled_from(["close", "reset", "finish"]),
        )
        def attack(place, opening, tail, places, ending):
            with Attacker(place) as attacker:
                for piece in cut(opening + tail, places):
                    attacker.send(piece)
                if ending == "finish":
                    attacker.finish()
                    attacker.read_to_end()
                elif ending == "reset":
                    attacker.reset()
            self.barrier()

        await self.attack(attack)
