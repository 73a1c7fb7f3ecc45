"""Tests for nodetrust.libp2p.identify.wire."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.identify.wire import Identify, decode, encode, update
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

KEY = PrivateKey.from_seed(b"\x02" * 32).public_key
EXAMPLE = Identify(
    public_key=KEY,
    listen_addresses=(Multiaddr.parse("/ip4/1.2.3.4/tcp/4001"),),
    protocols=("/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"),
    observed_address=Multiaddr.parse("/ip4/5.6.7.8/tcp/1234"),
    protocol_version="ipfs/0.1.0",
    agent_version="nodetrust/0.1.0",
)
EXAMPLE_FRAME = bytes.fromhex(
    "790a24080112208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39412080401020304060fa1"
    "1a0e2f697066732f69642f312e302e301a102f697066732f70696e672f312e302e30220804050607080604d22a0a697066"
    "732f302e312e30320f6e6f646574727573742f302e312e30"
)
TEXT = st.text(max_size=40)


class WireTests(SynchronousTestCase):
    """Values and bytes."""

    def test_example(self) -> None:
        """The bytes that js-libp2p reads for this value."""
        self.assertEqual([EXAMPLE_FRAME], [encode_frame(message) for message in encode(EXAMPLE)])
        self.assertEqual(EXAMPLE, decode([EXAMPLE_FRAME[1:]]))

    @given(st.lists(TEXT, max_size=80), TEXT, TEXT, st.binary(max_size=3000))
    def test_round_trip(self, protocols: list[str], version: str, agent: str, record: bytes) -> None:
        """Whatever is said arrives, in one message or two; the first, without the record, is always the short one."""
        identify = Identify(None, (), tuple(protocols), None, version, agent, record)
        messages = encode(identify)
        self.assertEqual(identify, decode(messages))
        self.assertEqual(len(messages) == 2, len(b"".join(messages)) > 2048 and bool(record))

    def test_unknown_addresses(self) -> None:
        """Addresses of a kind that we don't know are left out."""
        message = encode(EXAMPLE)[0] + bytes.fromhex("1203ffff7f") + bytes.fromhex("12080401020304060fa2")
        addresses = decode([message]).listen_addresses
        self.assertEqual(["/ip4/1.2.3.4/tcp/4001", "/ip4/1.2.3.4/tcp/4002"], [str(address) for address in addresses])

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """Bytes give a value or InvalidData, nothing else."""
        with contextlib.suppress(InvalidData):
            decode([data])

    def test_update(self) -> None:
        """In a push, what is missing is unchanged."""
        pushed = update(EXAMPLE, Identify(protocols=("/x",)))
        self.assertEqual((("/x",), KEY, "nodetrust/0.1.0"), (pushed.protocols, pushed.public_key, pushed.agent_version))
        self.assertEqual(EXAMPLE.listen_addresses, pushed.listen_addresses)
        self.assertEqual(EXAMPLE, update(None, EXAMPLE))
