"""RPCs against published bytes, against the protobuf library, and against garbage."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p import varint
from nodetrust.libp2p.pb import pubsub_pb2
from nodetrust.libp2p.pubsub import wire
from nodetrust.libp2p.pubsub.errors import RpcInvalid
from nodetrust.libp2p.pubsub.wire import IHave, Message, Prune, Rpc, Subscription, decode_rpc, encode_rpc


def by_library(rpc: Rpc) -> bytes:
    """The RPC as the protobuf library writes it."""
    out = pubsub_pb2.RPC()
    for subscription in rpc.subscriptions:
        out.subscriptions.add(subscribe=subscription.subscribe, topicid=subscription.topic)
    for message in rpc.messages:
        added = out.publish.add()
        fields = {"from": message.source, "data": message.data, "seqno": message.seqno, "topic": message.topic}
        fields |= {"signature": message.signature, "key": message.key}
        for name, value in fields.items():
            if value is not None:
                setattr(added, name, value)
    for ihave in rpc.ihave:
        out.control.ihave.add(topicID=ihave.topic, messageIDs=ihave.ids)
    if rpc.iwant:
        out.control.iwant.add(messageIDs=rpc.iwant)
    for topic in rpc.graft:
        out.control.graft.add(topicID=topic)
    for prune in rpc.prune:
        out.control.prune.add(topicID=prune.topic, backoff=prune.backoff_seconds)
    if rpc.idontwant:
        out.control.idontwant.add(messageIDs=rpc.idontwant)
    return out.SerializeToString(deterministic=True)


_topics = st.text(max_size=20)
_bytes = st.binary(max_size=20)
_optional = st.none() | _bytes
_messages = st.builds(Message, _optional, _optional, _optional, _topics, _optional, _optional)


def _tuples(strategy, **sizes):
    return st.lists(strategy, max_size=4, **sizes).map(tuple)


rpcs = st.builds(
    Rpc,
    _tuples(st.builds(Subscription, _topics, st.booleans())),
    _tuples(_messages),
    _tuples(st.builds(IHave, _topics, _tuples(_bytes, min_size=1))),
    _tuples(_bytes),
    _tuples(_topics),
    _tuples(st.builds(Prune, _topics, st.none() | st.integers(0, 2**63 - 1))),
    _tuples(_bytes),
)


def field(number: int, value: bytes) -> bytes:
    return varint.encode(number << 3 | 2) + varint.encode(len(value)) + value


class RpcTests(SynchronousTestCase):
    def test_published_frames(self) -> None:
        """A subscription and a GRAFT are the bytes that other implementations send."""
        self.assertEqual(encode_rpc(Rpc((Subscription("test", True),))).hex(), "0a080801120474657374")
        self.assertEqual(encode_rpc(Rpc(graft=("test",))).hex(), "1a081a060a0474657374")

    @given(rpcs)
    def test_round_trip(self, rpc: Rpc) -> None:
        """What is written is read back the same, absent and empty fields told apart."""
        self.assertEqual(decode_rpc(encode_rpc(rpc)), rpc)

    @given(rpcs)
    def test_equals_the_protobuf_library(self, rpc: Rpc) -> None:
        """Our bytes are the library's deterministic serialization, byte for byte."""
        self.assertEqual(encode_rpc(rpc), by_library(rpc))

    @given(st.binary(max_size=200))
    def test_garbage_is_refused_or_read(self, data: bytes) -> None:
        """Any bytes are an RPC or an `RpcInvalid`, nothing else."""
        with contextlib.suppress(RpcInvalid):
            decode_rpc(data)

    @given(rpcs, st.data())
    def test_damaged_rpcs_are_refused_or_read(self, rpc: Rpc, data: st.DataObject) -> None:
        """An RPC with some bytes changed or cut off is an RPC or an `RpcInvalid`, nothing else."""
        damaged = bytearray(encode_rpc(rpc))
        for _ in range(3):
            if damaged:
                damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(RpcInvalid):
            decode_rpc(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))

    def test_unknown_fields_are_ignored(self) -> None:
        """Fields of later versions (partial messages, extensions) are skipped, whatever their type."""
        later = field(10, b"partial") + b"\x58\x01" + b"\x61" + bytes(8) + b"\x6d" + bytes(4)
        later += field(2, field(9, b"later")) + field(6492434, b"test extension") + field(3, field(6, b""))
        self.assertEqual(
            decode_rpc(field(1, b"\x08\x01" + field(2, b"t") + b"\x18\x01") + later).subscriptions[0].topic, "t"
        )

    def test_control_in_pieces_is_put_together(self) -> None:
        """A submessage that comes twice is merged, as protobuf demands, and the limits hold for the whole."""
        piece = field(3, field(3, field(1, b"a")))
        self.assertEqual(decode_rpc(piece * 2).graft, ("a", "a"))
        with self.assertRaises(RpcInvalid):
            decode_rpc(piece * (wire.MAX_CONTROL_ENTRIES + 1))

    def test_unwanted_ids_are_counted_over_all_entries(self) -> None:
        """IDONTWANTs with one ID each, as js-libp2p sends them, are one list, bounded as a whole."""
        one = field(3, field(5, field(1, b"i")))
        self.assertEqual(decode_rpc(one * 3), Rpc(idontwant=(b"i",) * 3))
        with self.assertRaises(RpcInvalid):
            decode_rpc(one * (wire.MAX_UNWANTED_IDS + 1))

    def test_exchanged_peers_are_read_and_dropped(self) -> None:
        """The peers in a PRUNE leave no trace, and there may not be more of them than the limit."""
        peer = field(2, field(1, b"peer") + field(2, b"record"))
        prune = field(1, b"t") + b"\x18\x05"
        later = field(9, b"of a later version")
        self.assertEqual(decode_rpc(field(3, field(4, prune + peer * 16 + later))).prune, (Prune("t", 5),))
        with self.assertRaises(RpcInvalid):
            decode_rpc(field(3, field(4, prune + peer * 17)))

    def test_largest_backoff(self) -> None:
        """A backoff of 2**64 - 1 seconds is read as it is; the router bounds it."""
        backoff = b"\x18" + b"\xff" * 9 + b"\x01"
        self.assertEqual(decode_rpc(field(3, field(4, field(1, b"t") + backoff))).prune, (Prune("t", 2**64 - 1),))

    def test_limits(self) -> None:
        """Of everything that repeats there may be so many and not one more."""
        ids = field(1, b"i")
        for what, one, limit, wrap in (
            ("subscriptions", field(1, b""), wire.MAX_SUBSCRIPTIONS, lambda data: data),
            ("messages", field(2, b""), wire.MAX_MESSAGES, lambda data: data),
            ("ihave", field(1, b""), wire.MAX_CONTROL_ENTRIES, lambda data: field(3, data)),
            ("iwant", field(2, b""), wire.MAX_CONTROL_ENTRIES, lambda data: field(3, data)),
            ("graft", field(3, b""), wire.MAX_CONTROL_ENTRIES, lambda data: field(3, data)),
            ("prune", field(4, b""), wire.MAX_CONTROL_ENTRIES, lambda data: field(3, data)),
            ("idontwant", field(5, b""), wire.MAX_CONTROL_ENTRIES, lambda data: field(3, data)),
            ("unwanted ids", ids, wire.MAX_UNWANTED_IDS, lambda data: field(3, field(5, data))),
            ("wanted ids", ids, wire.MAX_MESSAGE_IDS, lambda data: field(3, field(2, data))),
            ("offered ids", field(2, b"i"), wire.MAX_MESSAGE_IDS, lambda data: field(3, field(1, data))),
        ):
            decode_rpc(wrap(one * limit))
            with self.assertRaises(RpcInvalid, msg=what):
                decode_rpc(wrap(one * (limit + 1)))

    def test_fields_are_counted(self) -> None:
        """All fields at every depth count, known or not, and there may be so many in one RPC and not one more."""
        read = wire.FieldCount()
        decode_rpc(field(1, b"\x08\x01" + field(2, b"t")) + field(3, field(3, field(1, b"t"))) + b"\x78\x01", read)
        self.assertEqual(read.count, 7)
        for one, wrap in ((b"\x78\x01", bytes), (field(2, b""), lambda data: field(2, field(4, b"t") + data))):
            decode_rpc(wrap(one * (wire.MAX_FIELDS - 2)))
            with self.assertRaises(RpcInvalid):
                decode_rpc(wrap(one * (wire.MAX_FIELDS + 1)))

    def test_size_limit(self) -> None:
        """An RPC of more than a mebibyte is not looked at."""
        with self.assertRaises(RpcInvalid):
            decode_rpc(bytes(wire.MAX_RPC_BYTES + 1))

    def test_long_topics_and_ids_are_left_out(self) -> None:
        """What nobody here can have subscribed to or asked for is not kept, and does no harm to the rest."""
        long = b"t" * (wire.MAX_TOPIC_BYTES + 1)
        rpc = field(1, b"\x08\x01" + field(2, long)) + field(2, field(4, long)) + field(2, field(2, b"no topic"))
        rpc += field(3, field(3, field(1, long)) + field(4, field(1, long)) + field(1, field(1, long) + field(2, b"i")))
        ids = field(1, b"i" * (wire.MAX_ID_BYTES + 1)) + field(1, b"j")
        rpc += field(3, field(2, ids) + field(5, ids))
        self.assertEqual(decode_rpc(rpc), Rpc(iwant=(b"j",), idontwant=(b"j",)))

    def test_malformed(self) -> None:
        """Truncated, endless, mistyped and grouped fields are refused."""
        for data in (
            "0a",
            "0a05",
            "0aff",
            "80" * 11,
            "0001",
            "0801",
            "1201",
            "0b0c",
            "0e",
            "0a0408ffffff",
            "0a041202fffe",
            "0a020a00",
        ):
            with self.assertRaises(RpcInvalid, msg=data):
                decode_rpc(bytes.fromhex(data))
