"""Random writes on random streams, cut at random, arrive whole and in order."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.yamux import YamuxSession, YamuxStream
from nodetrust.libp2p.yamux.send_queue import SendQueue
from nodetrust.testing.memory import Wire
from tests.libp2p.muxer_compliance import HalfCloseRecorder

steps = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.binary(max_size=30), st.integers(0, 200_000).map(bytes)), st.booleans()),
    max_size=20,
)


class RoundTripTests(SynchronousTestCase):
    @settings(max_examples=50, deadline=None)
    @given(steps, st.sampled_from([None, 7, 1000, 65536]))
    def test_writes_arrive(self, writes, piece_bytes):
        """Everything written to four streams, with reads paused now and then, arrives; then all of it ends cleanly."""
        wire, clock, inbound = Wire(), Clock(), {}

        def opened(stream):
            inbound[stream.stream_id] = HalfCloseRecorder()
            stream.attach(inbound[stream.stream_id])

        sessions = [
            YamuxSession(channel, dialer, clock, opened, lambda reason: None, make_stream=YamuxStream)
            for channel, dialer in ((wire.dialer, True), (wire.listener, False))
        ]
        for session in sessions:
            session.start()
        streams = [sessions[0].open_stream() for _ in range(4)]
        sent = [bytearray() for _ in streams]
        for stream in streams:
            stream.attach(HalfCloseRecorder())
        wire.pump()
        for index, data, pause in writes:
            streams[index].write(data)
            sent[index] += data
            if pause:
                inbound[streams[index].stream_id].transport.pauseProducing()
                wire.pump(piece_bytes if len(data) < 1000 else None)
            else:
                inbound[streams[index].stream_id].transport.resumeProducing()
        for stream in streams:
            stream.loseConnection()
        wire.pump()
        for recorder in inbound.values():
            recorder.transport.resumeProducing()
        wire.pump()
        received = [bytes(inbound[stream.stream_id].received) for stream in streams]
        self.assertEqual(received, sent)
        for recorder in inbound.values():
            self.assertTrue(recorder.read_ended)
            recorder.transport.loseConnection()
        wire.pump()
        self.assertEqual([session.streams for session in sessions], [{}, {}])

    @given(st.lists(st.binary(max_size=20)), st.lists(st.integers(1, 30)))
    def test_queue_gives_back_what_it_got(self, pieces, limits):
        """A send queue cuts where it is told to and loses nothing."""
        queue, taken = SendQueue(), b""
        for piece in pieces:
            queue.append(piece)
        whole = b"".join(pieces)
        for limit in [*limits, len(whole)]:
            part = b"".join(queue.take(limit))
            self.assertLessEqual(len(part), limit)
            taken += part
            self.assertEqual(queue.size, len(whole) - len(taken))
        self.assertEqual(taken, whole)
