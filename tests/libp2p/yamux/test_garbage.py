"""Garbage into a session whose streams have lively protocols: nothing is logged, nothing is left."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.yamux import YamuxSession, YamuxStream
from nodetrust.libp2p.yamux.wire import FrameType, encode
from nodetrust.testing.memory import Wire
from tests.libp2p.muxer_compliance import Echo, HalfCloseRecorder


class Closer(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)
        self.transport.loseConnection()


class Aborter(Protocol):
    def dataReceived(self, data):
        self.transport.abortConnection()


class Pauser(HalfCloseRecorder):
    def dataReceived(self, data):
        self.transport.pauseProducing()


PROTOCOLS = (Echo, Closer, Aborter, Pauser, HalfCloseRecorder)

frames = st.builds(
    lambda kind, flags, stream_id, size, body: (
        encode(kind, flags, stream_id, size if body else size * 5000)
        + (bytes(size) if kind == FrameType.DATA and body else b"")
    ),
    st.sampled_from([FrameType.DATA] * 4 + [FrameType.WINDOW_UPDATE] * 4 + [FrameType.PING, FrameType.GO_AWAY]),
    st.sampled_from([0, 0, 0, 1, 1, 2, 4, 5, 8]),
    st.integers(0, 7),
    st.integers(0, 50),
    st.booleans(),
)


class GarbageSessionTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.booleans(), st.lists(st.tuples(frames, st.sampled_from([0, 0, 0, 1, 40])), max_size=40))
    def test_nothing_is_logged_and_nothing_left(self, dialer, steps):
        """Whatever frames come and however time passes, no protocol or timer is left when the channel is gone."""
        wire, clock, closed, streams = Wire(), Clock(), [], []

        def opened(stream):
            streams.append(stream)
            stream.attach(PROTOCOLS[stream.stream_id % len(PROTOCOLS)]())

        session = YamuxSession(wire.listener, dialer, clock, opened, closed.append, make_stream=YamuxStream)
        session.start()
        opened(session.open_stream())
        for frame, seconds in steps:
            wire.dialer.write(frame)
            wire.pump()
            clock.advance(seconds)
        wire.dialer.abortConnection()
        wire.pump()
        clock.advance(0)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(closed), 1)
        self.assertEqual((session.streams, clock.getDelayedCalls()), ({}, []))
        self.assertEqual([stream.protocol for stream in streams], [None] * len(streams))
