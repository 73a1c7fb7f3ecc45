"""Tests for nodetrust.libp2p.framing.MessageStream."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidVarint, MessageTooLong, StreamEnded, StreamReset, Timeout
from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.message_stream import MAX_UNREAD_MESSAGES, MessageStream
from nodetrust.testing.memory import Wire


class MessageStreamTests(SynchronousTestCase):
    """Reading and writing messages one by one."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.messages = MessageStream(100, self.clock, 5)
        self.wire.dialer.attach(self.messages)

    def read(self) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self.messages.read())

    def arrive(self, data: bytes, piece_bytes: int | None = None) -> None:
        self.wire.listener.write(data)
        self.wire.pump(piece_bytes)

    def test_byte_by_byte(self) -> None:
        """Messages are whole and in order, however they arrive, before or after they are asked for."""
        early = self.read()
        self.arrive(b"".join(map(encode_frame, (b"one", b"", b"three"))), 1)
        self.assertEqual(b"one", self.successResultOf(early))
        self.assertEqual(b"", self.successResultOf(self.read()))
        self.assertEqual(b"three", self.successResultOf(self.read()))
        self.assertNoResult(self.read())

    def test_write(self) -> None:
        """A written message has its length in front."""
        self.messages.write(b"one")
        self.assertEqual(b"\x03one", self.wire.dialer.outgoing)

    def test_end(self) -> None:
        """Messages in front of the end are still read; after it, every read says that it ended. Writing goes on."""
        self.arrive(b"\x03one")
        self.assertFalse(self.messages.ended)
        self.wire.listener.loseWriteConnection()
        self.wire.pump()
        self.assertTrue(self.messages.ended)
        self.assertEqual(b"one", self.successResultOf(self.read()))
        for _ in range(2):
            self.failureResultOf(self.read(), StreamEnded)
        self.assertFalse(self.wire.dialer.disconnecting)

    def test_end_inside_a_message(self) -> None:
        """An end in the middle of a message says so."""
        waiting = self.read()
        self.arrive(b"\x03on")
        self.wire.listener.loseWriteConnection()
        self.wire.pump()
        self.assertIn("in the middle", str(self.failureResultOf(waiting, StreamEnded).value))

    def test_reset(self) -> None:
        """An abrupt end is a reset."""
        waiting = self.read()
        self.wire.listener.abortConnection()
        self.wire.pump()
        self.failureResultOf(waiting, StreamReset)
        self.assertTrue(self.messages.ended)

    def test_bad_frames(self) -> None:
        """A message that is too long, or a length that is none, fails every read."""
        for frame, error in ((b"\x65", MessageTooLong), (b"\x80" * 10, InvalidVarint)):
            self.setUp()
            waiting = self.read()
            self.arrive(frame)
            self.failureResultOf(waiting, error)
            self.arrive(b"\x03one")
            self.failureResultOf(self.read(), error)

    def test_timeout(self) -> None:
        """A read takes so long and no longer; the next may have more luck."""
        waiting = self.read()
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.failureResultOf(waiting, Timeout)
        again = self.read()
        self.arrive(b"\x03one")
        self.assertEqual(b"one", self.successResultOf(again))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_cancelled_read(self) -> None:
        """A read that was cancelled takes no message."""
        waiting = self.read()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.arrive(b"\x03one")
        self.assertEqual(b"one", self.successResultOf(self.read()))

    def test_back_pressure(self) -> None:
        """With too many bytes or messages unread the stream is paused, and goes on when they have been read."""
        for message in (bytes(100), b""):
            self.setUp()
            fits = 1 if message else MAX_UNREAD_MESSAGES
            for _ in range(fits):
                self.arrive(encode_frame(message))
            self.assertTrue(self.wire.dialer.reading)
            self.arrive(encode_frame(message))
            self.assertFalse(self.wire.dialer.reading)
            self.arrive(encode_frame(message))
            self.assertNotEqual(b"", self.wire.listener.outgoing)
            self.successResultOf(self.read())
            self.wire.pump()
            for _ in range(fits + 1):
                self.assertEqual(message, self.successResultOf(self.read()))
            self.assertTrue(self.wire.dialer.reading)

    def test_two_readers(self) -> None:
        """A second reader is a bug of ours."""
        self.read()
        self.failureResultOf(self.read(), RuntimeError)

    def test_closing(self) -> None:
        """A stream is closed or reset on demand."""
        self.messages.close()
        self.assertEqual((True, False), (self.wire.dialer.disconnecting, self.wire.dialer.aborted))
        self.messages.abort()
        self.assertTrue(self.wire.dialer.aborted)
