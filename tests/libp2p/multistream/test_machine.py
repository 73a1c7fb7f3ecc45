"""The dialer and the listener of multistream-select, apart from any channel."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.multistream.machine import MAX_MESSAGES, Dialer, Listener, ProtocolRefused, ProtocolSelected
from nodetrust.libp2p.multistream.wire import HEADER, encode_message


def messages(*texts):
    return b"".join(encode_message(text) for text in texts)


def negotiate(dialer, listener, piece_bytes=None):
    """Let the two talk until neither has anything to say; return the events of each."""
    heard_by_dialer, heard_by_listener = [], []
    while True:
        to_listener, to_dialer = dialer.data_to_send(), listener.data_to_send()
        if not to_listener and not to_dialer:
            return heard_by_dialer, heard_by_listener
        for machine, data, heard in ((listener, to_listener, heard_by_listener), (dialer, to_dialer, heard_by_dialer)):
            size = piece_bytes or len(data) or 1
            for start in range(0, len(data), size):
                heard.extend(machine.receive_data(data[start : start + size]))


class DialerTests(SynchronousTestCase):
    def test_speaks_first_in_one_write(self):
        """Header and first proposal go out together before anything has arrived."""
        self.assertEqual(Dialer(["/noise"]).data_to_send(), messages(HEADER, "/noise"))

    def test_proposes_in_order(self):
        """Each refusal brings the next proposal; the accepted one ends it, with what follows left unread."""
        dialer = Dialer(["/a", "/b", "/c"])
        dialer.data_to_send()
        self.assertEqual(dialer.receive_data(messages(HEADER, "na")), [ProtocolRefused("/a")])
        self.assertEqual(dialer.data_to_send(), messages("/b"))
        self.assertEqual(dialer.receive_data(messages("/b") + b"data"), [ProtocolSelected("/b", b"data")])
        self.assertEqual(dialer.data_to_send(), b"")

    def test_nothing_in_common(self):
        """The refusal of the last proposal is an error that names it."""
        dialer = Dialer(["/a"])
        with self.assertRaisesRegex(NegotiationError, "'/a'"):
            dialer.receive_data(messages(HEADER, "na"))

    def test_answers_that_are_none(self):
        """Another header, another protocol than the one proposed, or no message at all end the negotiation."""
        for data in (messages("/multistream/2.0.0"), messages(HEADER, "/b"), messages("/a"), b"\x02ab"):
            with self.assertRaises(NegotiationError):
                Dialer(["/a"]).receive_data(data)


class ListenerTests(SynchronousTestCase):
    def test_answers_header_and_proposal_together(self):
        """One write in, one write out; what follows the proposal is application data."""
        listener = Listener(["/a"])
        events = listener.receive_data(messages(HEADER, "/a") + b"\x00data")
        self.assertEqual(events, [ProtocolSelected("/a", b"\x00data")])
        self.assertEqual(listener.data_to_send(), messages(HEADER, "/a"))

    def test_says_nothing_before_the_dialer(self):
        """Ports are shared with TLS and HTTP: the dialer's first bytes decide what is spoken."""
        self.assertEqual(Listener(["/a"]).data_to_send(), b"")

    def test_refuses_until_it_knows_one(self):
        """What is not offered is answered `na`, `ls` as well."""
        listener = Listener(["/b"])
        events = listener.receive_data(messages(HEADER, "ls", "/a", "/b"))
        self.assertEqual(events, [ProtocolRefused("ls"), ProtocolRefused("/a"), ProtocolSelected("/b", b"")])
        self.assertEqual(listener.data_to_send(), messages(HEADER, "na", "na", "/b"))

    def test_offers_by_predicate(self):
        """A function may decide what is offered, say by prefix."""
        listener = Listener(lambda protocol_id: protocol_id.startswith("/x/"))
        self.assertEqual(listener.receive_data(messages(HEADER, "/x/1")), [ProtocolSelected("/x/1", b"")])

    def test_tolerates_what_js_tolerates(self):
        """Headers may come again, and the proposal may come without one; our own header still goes out first, once."""
        for data in (messages(HEADER, HEADER, "/a"), messages("/a")):
            listener = Listener(["/a"])
            self.assertEqual(listener.receive_data(data), [ProtocolSelected("/a", b"")])
            self.assertEqual(listener.data_to_send(), messages(HEADER, "/a"))

    def test_malformed_first_line(self):
        """A first line that is no message is refused at once."""
        for data in (b"GET / HTTP/1.1\r\n" + b"x" * 80, b"\x00", b"\x16\x03\x01" + b"x" * 30):
            with self.assertRaises(NegotiationError):
                Listener(["/a"]).receive_data(data)

    def test_gives_up(self):
        """A dialer that asks on and on, or only repeats its header, is refused after a bounded number of messages."""
        for text in ("/unknown", HEADER):
            listener = Listener(["/a"])
            listener.receive_data(messages(text) * MAX_MESSAGES)
            with self.assertRaises(NegotiationError):
                listener.receive_data(messages(text))

    @given(st.lists(st.binary(max_size=300)))
    def test_garbage(self, pieces):
        """Whatever arrives, in whatever pieces, is answered or refused with a NegotiationError."""
        for machine in (Listener(["/a"]), Dialer(["/a"])):
            with contextlib.suppress(NegotiationError):
                for piece in pieces:
                    machine.receive_data(piece)


class TogetherTests(SynchronousTestCase):
    def test_agree(self):
        """The dialer's first choice among what the listener offers is selected, in pieces of any size."""
        for piece_bytes in (None, 1, 7):
            dialer, listener = Dialer(["/tls/1.0.0", "/noise"]), Listener({"/noise", "/other"})
            at_dialer, at_listener = negotiate(dialer, listener, piece_bytes)
            self.assertEqual(at_dialer, [ProtocolRefused("/tls/1.0.0"), ProtocolSelected("/noise", b"")])
            self.assertEqual(at_listener, at_dialer)
