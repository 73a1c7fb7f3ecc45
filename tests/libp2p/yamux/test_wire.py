"""Frames as the specification and the other implementations write them."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.yamux.wire import ACK, FIN, RST, SYN, FrameReader, FrameType, Header, encode, encode_data

VECTORS = [
    ("000100010000000100000000", encode(FrameType.WINDOW_UPDATE, SYN, 1, 0)),
    ("000100020000000100000000", encode(FrameType.WINDOW_UPDATE, ACK, 1, 0)),
    ("0000000400000001000000026869", encode_data(1, [b"hi"], 2, FIN)),
    ("000200010000000000000007", encode(FrameType.PING, SYN, 0, 7)),
    ("000200020000000000000007", encode(FrameType.PING, ACK, 0, 7)),
    ("000100080000000100000000", encode(FrameType.WINDOW_UPDATE, RST, 1, 0)),
    ("000300000000000000000000", encode(FrameType.GO_AWAY, 0, 0, 0)),
]

frames = st.one_of(
    st.binary(max_size=50).map(lambda body: (Header(0, 0, 0, 1, len(body)), body)),
    st.tuples(st.integers(1, 3), st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)).map(
        lambda fields: (Header(0, *fields), b"")
    ),
)


def joined(items):
    """Items of a reader as (header, whole payload)."""
    result = []
    for item in items:
        if isinstance(item, bytes):
            header, body = result[-1]
            result[-1] = (header, body + item)
        else:
            result.append((item, b""))
    return result


class WireTests(SynchronousTestCase):
    def test_encodes_the_published_frames(self):
        """Each frame is byte for byte what go and js send."""
        for expected, frame in VECTORS:
            self.assertEqual(frame.hex(), expected)

    def test_decodes_the_published_frames(self):
        """The published frames in one stream come out as headers, with the payload of the one that has one."""
        items = list(FrameReader().feed(bytes.fromhex("".join(text for text, _ in VECTORS))))
        self.assertEqual(items[2:4], [Header(0, FrameType.DATA, FIN, 1, 2), b"hi"])
        self.assertEqual(len(items), 8)

    @given(st.lists(frames, max_size=10), st.integers(1, 30))
    def test_cuts_do_not_matter(self, sent, piece_bytes):
        """However the bytes are cut, the same frames come out, and less than a header is ever kept."""
        data = b"".join(encode(h.type, h.flags, h.stream_id, h.length) + body for h, body in sent)
        reader, items = FrameReader(), []
        for offset in range(0, len(data), piece_bytes):
            items += reader.feed(data[offset : offset + piece_bytes])
            self.assertLess(len(reader._partial), 12)
        self.assertEqual(joined(items), sent)

    def test_claimed_length_takes_no_memory(self):
        """The payload of a frame that claims four gigabytes is handed on as it comes."""
        reader = FrameReader()
        items = list(reader.feed(encode_data(1, [], 2**32 - 1) + b"abc"))
        self.assertEqual(items[1:], [b"abc"])
        self.assertEqual(reader.body_left, 2**32 - 4)
