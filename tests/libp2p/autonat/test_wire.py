"""The messages of AutoNAT."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.autonat.wire import (
    DATA_BYTES,
    MAX_DATA_BYTES,
    DataWanted,
    Dialled,
    data,
    dial_request,
    from_server,
    read_nonce,
)
from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import autonat_pb2 as pb


def response(status: int, dial_status: int) -> bytes:
    """As a server sends it."""
    said = pb.DialResponse(status=status, dialStatus=dial_status)  # type: ignore[arg-type]  # an int is an enum here
    return pb.Message(dialResponse=said).SerializeToString()


class WireTests(SynchronousTestCase):
    """Bytes and values."""

    def test_the_request(self) -> None:
        """By hand: field 1 of Message, in it the address as bytes, and the nonce as eight bytes, the lowest first."""
        address = Multiaddr.parse("/ip4/1.2.3.4/tcp/4001")
        expected = "0a13" + "0a08" + bytes(address).hex() + "11" + "0807060504030201"
        self.assertEqual(dial_request(address, 0x0102030405060708).hex(), expected)

    def test_what_a_server_says(self) -> None:
        """Yes, no, or nothing of use."""
        for status, dial_status, reached in (
            (200, 200, True),
            (200, 100, False),
            (200, 101, True),
            (200, 0, None),
            (100, 0, None),
            (101, 100, None),
            (0, 200, None),
            (77, 200, None),
        ):
            self.assertEqual(from_server(response(status, dial_status)), Dialled(reached))

    def test_data(self) -> None:
        """Exactly what is wanted, in messages of the size that the specification allows, up to its bound."""
        for wanted in (1, DATA_BYTES, 30_000, MAX_DATA_BYTES):
            said = from_server(pb.Message(dialDataRequest=pb.DialDataRequest(numBytes=wanted)).SerializeToString())
            self.assertEqual(said, DataWanted(wanted))
            sizes = [len(pb.Message.FromString(one).dialDataResponse.data) for one in data(wanted)]
            self.assertEqual((sum(sizes), max(sizes) <= DATA_BYTES), (wanted, True))
        greedy = pb.Message(dialDataRequest=pb.DialDataRequest(numBytes=MAX_DATA_BYTES + 1)).SerializeToString()
        self.assertRaises(InvalidData, from_server, greedy)

    def test_what_no_server_says(self) -> None:
        """It is refused."""
        for message in (b"", dial_request(Multiaddr.parse("/ip4/1.2.3.4/tcp/1"), 1), data(1)[0], b"\xff"):
            self.assertRaises(InvalidData, from_server, message)
        self.assertRaises(InvalidData, read_nonce, b"\xff")
        self.assertEqual(read_nonce(bytes.fromhex("090100000000000000")), 1)

    @given(st.binary(max_size=200))
    def test_garbage(self, message: bytes) -> None:
        """Whatever comes is a value or `InvalidData`."""
        for read in (from_server, read_nonce):
            try:
                read(message)
            except InvalidData:
                continue
