"""The rules of a session: every input in every state, every limit, and garbage."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.yamux.errors import SessionClosedError, StreamClosedError, TooManyStreamsError
from nodetrust.libp2p.yamux.events import (
    DataReceived,
    GoneAway,
    Ponged,
    StreamEnded,
    StreamOpened,
    StreamReset,
    Violated,
    WindowOpened,
)
from nodetrust.libp2p.yamux.machine import (
    MAX_FRAME_PAYLOAD,
    MAX_INBOUND_STREAMS,
    MAX_QUEUED_CONTROL_FRAMES,
    MAX_QUEUED_PONGS,
    MAX_UNACKNOWLEDGED_STREAMS,
    RESET_BURST,
    RESETS_PER_SECOND,
    Session,
)
from nodetrust.libp2p.yamux.window import INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES
from nodetrust.libp2p.yamux.wire import (
    ACK,
    FIN,
    RST,
    SYN,
    FrameReader,
    FrameType,
    SessionCode,
    StreamCode,
    encode,
    encode_data,
)

WINDOW, PING, GO_AWAY = FrameType.WINDOW_UPDATE, FrameType.PING, FrameType.GO_AWAY
KIB = 1024


def headers(session):
    """The headers of what a session wants to send."""
    frames = b"".join(session.data_to_send())
    return [item for item in FrameReader().feed(frames) if not isinstance(item, bytes)]


def syn(stream_id):
    return encode(WINDOW, SYN, stream_id, 0)


def data(stream_id, size, flags=0):
    return encode_data(stream_id, [bytes(size)], size, flags)


STATES = ("open", "local closed", "remote closed", "forgotten")
# input: for each state in that order, (the state after it, the events), or the error raised
TABLE = {
    "send": [("open", []), StreamClosedError, ("remote closed", []), StreamClosedError],
    "end": [("local closed", []), ("local closed", []), ("forgotten", []), StreamClosedError],
    "reset": [("forgotten", []), ("forgotten", []), ("forgotten", []), StreamClosedError],
    "stop reading": [("open", []), ("local closed", []), ("remote closed", []), StreamClosedError],
    "consumed": [("open", []), ("local closed", []), ("remote closed", []), ("forgotten", [])],
    "DATA": [
        ("open", [DataReceived]),
        ("local closed", [DataReceived]),
        ("forgotten", [StreamReset]),
        ("forgotten", []),
    ],
    "DATA FIN": [
        ("remote closed", [DataReceived, StreamEnded]),
        ("unread", [DataReceived, StreamEnded]),
        ("forgotten", [StreamReset]),
        ("forgotten", []),
    ],
    "FIN": [
        ("remote closed", [StreamEnded]),
        ("forgotten", [StreamEnded]),
        ("remote closed", []),
        ("forgotten", []),
    ],
    "RST": [("forgotten", [StreamReset])] * 3 + [("forgotten", [])],
    "DATA RST": [("forgotten", [StreamReset])] * 3 + [("forgotten", [])],
    "WINDOW": [
        ("open", [WindowOpened]),
        ("local closed", []),
        ("remote closed", [WindowOpened]),
        ("forgotten", []),
    ],
    "ACK": [("open", []), ("local closed", []), ("remote closed", []), ("forgotten", [])],
}
LOCAL = {
    "send": lambda session: session.send(1, [b"x"], 1),
    "end": lambda session: session.end(1),
    "reset": lambda session: session.reset(1),
    "stop reading": lambda session: session.stop_reading(1),
    "consumed": lambda session: session.consumed(1, 0, 0.0),
}
REMOTE = {
    "DATA": data(1, 1),
    "DATA FIN": data(1, 1, FIN),
    "FIN": encode(WINDOW, FIN, 1, 0),
    "RST": encode(WINDOW, RST, 1, 0),
    "DATA RST": data(1, 1, RST),
    "WINDOW": encode(WINDOW, 0, 1, 5),
    "ACK": encode(WINDOW, ACK, 1, 0),
}


class SessionCase(SynchronousTestCase):
    def setUp(self):
        self.session = Session(dialer=True)

    def receive(self, *frames, now=0.0):
        return self.session.receive_data(b"".join(frames), now)

    def assertViolates(self, *frames, code=SessionCode.PROTOCOL_ERROR):
        """The last of `frames` ends the session with a GoAway of `code`."""
        events = self.receive(*frames)
        self.assertIsInstance(events[-1], Violated)
        self.assertEqual(headers(self.session)[-1][1:], (GO_AWAY, 0, 0, code))
        self.assertTrue(self.session.closed)
        self.assertEqual(self.receive(syn(2)), [])


class StreamStateTests(SynchronousTestCase):
    """Every input in every state of a stream that the dialer has opened, and what becomes of it."""

    def session_in(self, state):
        session = Session(dialer=True)
        session.open_stream(0.0)
        if state == "local closed":
            session.end(1)
        elif state == "remote closed":
            session.receive_data(REMOTE["FIN"], 0.0)
        elif state == "forgotten":
            session.reset(1)
        return session

    def state_of(self, session):
        stream = session._streams.get(1)
        if stream is None:
            return "forgotten"
        return {(1, 1): "open", (0, 1): "local closed", (1, 0): "remote closed", (0, 0): "unread"}[
            (stream.local_open, stream.remote_open)
        ]

    def test_every_input_in_every_state(self):
        """The table above."""
        self.assertEqual(set(TABLE), {*LOCAL, *REMOTE})
        for name, row in TABLE.items():
            for state, expected in zip(STATES, row, strict=True):
                session = self.session_in(state)
                if expected is StreamClosedError:
                    self.assertRaises(StreamClosedError, LOCAL[name], session)
                    continue
                events = []
                if name in LOCAL:
                    LOCAL[name](session)
                else:
                    events = session.receive_data(REMOTE[name], 0.0)
                outcome = (self.state_of(session), [type(event) for event in events])
                self.assertEqual(outcome, expected, f"{name} in state {state}")
                self.assertFalse(session.closed)

    def test_ended_stream_is_forgotten_when_it_is_read(self):
        """A stream that has ended both ways counts, with what is unread, until its reader has taken everything."""
        session = self.session_in("local closed")
        session.receive_data(data(1, 10, FIN), 0.0)
        self.assertEqual((len(session._streams), session.budget.unread), (1, 10))
        session.consumed(1, 10, 0.0)
        self.assertEqual((len(session._streams), session.budget.unread), (0, 0))


class OpeningTests(SessionCase):
    def test_dialer_opens_odd_streams_and_listener_even_ones(self):
        """IDs begin at 1 and 2 and go up by two; a stream opens with WindowUpdate and SYN."""
        listener = Session(dialer=False)
        self.assertEqual([self.session.open_stream(0.0) for _ in range(2)], [1, 3])
        self.assertEqual([listener.open_stream(0.0) for _ in range(2)], [2, 4])
        self.assertEqual(headers(self.session)[0][1:], (WINDOW, SYN, 1, 0))

    def test_remote_opens_with_either_frame(self):
        """WindowUpdate with SYN opens, with its delta as credit, and so does Data with SYN."""
        self.assertEqual(self.receive(encode(WINDOW, SYN, 2, 7))[0], StreamOpened(2))
        self.assertEqual(self.session.sendable(2), INITIAL_WINDOW_BYTES + 7)
        events = self.receive(encode_data(4, [b"hi"], 2, SYN | FIN))
        self.assertEqual(events, [StreamOpened(4), DataReceived(4, b"hi"), StreamEnded(4)])

    def test_accept_acknowledges_once(self):
        """The first accept sends WindowUpdate with ACK; a second one nothing."""
        self.receive(syn(2))
        self.session.accept(2)
        self.session.accept(2)
        self.assertEqual([header[1:] for header in headers(self.session)], [(WINDOW, ACK, 2, 0)])

    def test_refuses_a_wrong_parity_a_second_syn_and_stream_zero(self):
        """Each of these ends the session with GoAway(1)."""
        for frames in ([syn(1)], [syn(2), syn(2)], [syn(0)], [data(0, 1)]):
            self.session = Session(dialer=True)
            self.assertViolates(*frames)

    def test_resets_streams_beyond_the_limit(self):
        """The 257th live inbound stream is reset, its data are dropped, and room comes back when one ends."""
        ids = range(2, 2 + 2 * MAX_INBOUND_STREAMS, 2)
        self.assertEqual(len(self.receive(*map(syn, ids))), MAX_INBOUND_STREAMS)
        self.assertEqual(self.receive(data(1000, 5, SYN), data(1000, 5)), [])
        self.assertEqual(headers(self.session)[-1][1:], (WINDOW, RST, 1000, StreamCode.RESOURCE_LIMIT))
        self.session.reset(2)
        self.assertEqual(self.receive(syn(1002)), [StreamOpened(1002)])

    def test_limits_how_often_streams_are_opened_and_reset(self):
        """More than the burst, and then more than so many a second, end the session."""
        self.receive(*(syn(2 * n) + encode(WINDOW, RST, 2 * n, 0) for n in range(1, RESET_BURST + 1)))
        self.assertEqual(len(self.receive(syn(2), encode(WINDOW, RST, 2, 0), now=2 / RESETS_PER_SECOND)), 2)
        self.assertEqual(len(self.receive(syn(2), data(2, 1, RST), now=2 / RESETS_PER_SECOND)), 2)
        frames = (syn(2), data(2, 1, RST))
        self.assertViolates(*frames, code=SessionCode.RATE_LIMITED)

    def test_our_own_streams_may_be_reset_at_any_rate(self):
        """The remote side refuses what we open: that is our doing."""
        for _ in range(2 * RESET_BURST):
            self.receive(encode(WINDOW, RST, self.session.open_stream(0.0), 0))
        self.assertFalse(self.session.closed)

    def test_limits_our_own_unacknowledged_streams(self):
        """The 257th open raises, until the remote side acknowledges or refuses one."""
        for _ in range(MAX_UNACKNOWLEDGED_STREAMS):
            self.session.open_stream(0.0)
        self.assertRaises(TooManyStreamsError, self.session.open_stream, 0.0)
        self.receive(encode(WINDOW, ACK, 1, 0), encode(WINDOW, ACK, 1, 0), encode(WINDOW, RST, 3, 0))
        self.session.open_stream(0.0)
        self.session.open_stream(0.0)
        self.assertRaises(TooManyStreamsError, self.session.open_stream, 0.0)

    def test_ignores_frames_for_unknown_streams(self):
        """Their payload is read past, and what follows is understood."""
        self.assertEqual(self.receive(data(99, 100), encode(WINDOW, RST, 98, 0), syn(2)), [StreamOpened(2)])


class FlowControlTests(SessionCase):
    def setUp(self):
        super().setUp()
        self.session.open_stream(0.0)
        self.session.data_to_send()

    def test_sends_within_the_window(self):
        """A frame above the credit or the largest payload is our own mistake."""
        self.assertRaises(ValueError, self.session.send, 1, [bytes(MAX_FRAME_PAYLOAD + 1)], MAX_FRAME_PAYLOAD + 1)
        for _ in range(4):
            self.session.send(1, [bytes(MAX_FRAME_PAYLOAD)], MAX_FRAME_PAYLOAD)
        left = INITIAL_WINDOW_BYTES - 4 * MAX_FRAME_PAYLOAD
        self.assertEqual(self.session.sendable(1), left)
        self.assertRaises(ValueError, self.session.send, 1, [bytes(left + 1)], left + 1)
        self.assertEqual(self.session.queued_bytes, 4 * 65519)
        self.receive(encode(WINDOW, 0, 1, 10))
        self.assertEqual(self.session.sendable(1), left + 10)

    def test_accepts_exactly_the_window_in_one_frame(self):
        """A frame as large as the window is fine; one byte more afterwards is not."""
        self.assertEqual(len(self.receive(data(1, INITIAL_WINDOW_BYTES))), 1)
        self.assertViolates(data(1, 1))

    def test_refuses_more_than_the_window(self):
        """Also in the frame that opens the stream, and from the header alone."""
        self.assertViolates(encode_data(2, [], INITIAL_WINDOW_BYTES + 1, SYN))

    def test_bounds_what_the_remote_side_grants(self):
        """A window of 2^32 or more is a violation."""
        self.receive(encode(WINDOW, 0, 1, 2**32 - 1 - INITIAL_WINDOW_BYTES))
        self.assertEqual(self.session.sendable(1), 2**32 - 1)
        self.assertViolates(encode(WINDOW, 0, 1, 1))

    def test_code_of_a_reset_is_no_window(self):
        """The length of an RST is its code, however large."""
        self.assertEqual(self.receive(encode(WINDOW, RST, 1, 2**32 - 1)), [StreamReset(1, 2**32 - 1)])

    def test_grants_when_half_is_consumed(self):
        """Nothing before half of the window was consumed, then all of it."""
        self.receive(data(1, 200 * KIB))
        self.session.consumed(1, 127 * KIB, 1.0)
        self.assertEqual(headers(self.session), [])
        self.session.consumed(1, KIB, 1.0)
        self.assertEqual([header[1:] for header in headers(self.session)], [(WINDOW, 0, 1, 128 * KIB)])

    def take(self, size, now):
        """Receive and consume `size` bytes; the windows granted meanwhile."""
        self.receive(data(1, size), now=now)
        self.session.consumed(1, size, now)
        return [header.length for header in headers(self.session)]

    def test_window_doubles_for_a_fast_reader(self):
        """Half a window within four round trips doubles it; a slower reader leaves it as it is."""
        self.session.rtt_seconds = 0.1
        self.assertEqual(self.take(128 * KIB, now=0.3), [(128 + 256) * KIB])
        self.assertEqual(self.take(256 * KIB, now=0.8), [256 * KIB])
        self.assertEqual(self.take(256 * KIB, now=0.9), [(256 + 512) * KIB])

    def test_window_stays_without_a_round_trip_time(self):
        """Before the first ping is answered nothing grows."""
        self.assertEqual(self.take(128 * KIB, now=0.0), [128 * KIB])

    def test_growth_ends_at_the_largest_window(self):
        """No window grows beyond 16 MiB, even with budget to spare."""
        self.session = Session(dialer=True, receive_budget=100 * MAX_WINDOW_BYTES)
        self.session.open_stream(0.0)
        self.session.rtt_seconds = 1.0
        window = self.session._streams[1].window
        for _ in range(20):
            self.take(window.size // 2, now=0.0)
        self.assertEqual(window.size, MAX_WINDOW_BYTES)

    def test_growth_ends_at_the_budget(self):
        """All streams together grow only as far as half of the budget, and a stream that ends gives its part back."""
        self.session.rtt_seconds = 1.0
        window = self.session._streams[1].window
        for _ in range(20):
            self.take(window.size // 2, now=0.0)
        self.assertEqual(window.size, 2048 * KIB)
        self.session.reset(1)
        self.session.open_stream(0.0)
        self.assertTrue(self.session.budget.grow(1792 * KIB))

    def test_unread_bytes_are_bounded_over_all_streams(self):
        """A remote side that fills the windows of many streams nobody reads has the one that goes too far reset."""
        ids = range(2, 36, 2)
        events = [event for i in ids for event in self.receive(syn(i), data(i, INITIAL_WINDOW_BYTES))]
        self.assertEqual(events[-1], StreamReset(34, StreamCode.RESOURCE_LIMIT))
        self.assertEqual(self.session.budget.unread, 16 * INITIAL_WINDOW_BYTES)

    def test_rest_of_a_payload_after_a_reset_is_dropped(self):
        """A stream that is reset in the middle of a frame leaves nothing behind when the rest of it comes."""
        frame = data(1, 1000)
        self.receive(frame[:500])
        self.session.reset(1)
        self.assertEqual(self.receive(frame[500:], syn(2)), [StreamOpened(2)])
        self.assertEqual(self.session.budget.unread, 0)

    def test_stopped_reader_costs_nothing(self):
        """What comes for a stream that we read no more is dropped, uncounted, and not granted anew."""
        self.receive(data(1, 1000))
        self.session.stop_reading(1)
        self.assertEqual(self.receive(data(1, 200 * KIB)), [])
        self.session.consumed(1, 1000, 0.0)
        self.assertEqual((self.session.budget.unread, headers(self.session)), (0, []))


class SessionFrameTests(SessionCase):
    def test_answers_a_ping(self):
        """The answer has ACK and the same value."""
        self.receive(encode(PING, SYN, 0, 7))
        self.assertEqual(b"".join(self.session.data_to_send()).hex(), "000200020000000000000007")

    def test_measures_the_round_trip(self):
        """The answer to our ping says how long it took; one that we did not send is ignored."""
        self.session.ping(1.0)
        self.assertEqual(headers(self.session)[0][1:], (PING, SYN, 0, 1))
        self.assertEqual(self.receive(encode(PING, ACK, 0, 9), now=1.2), [])
        self.assertEqual(self.receive(encode(PING, ACK, 0, 1), now=1.5), [Ponged(0.5)])
        self.assertEqual(self.receive(encode(PING, ACK, 0, 1), now=2.0), [])
        self.assertEqual(self.session.rtt_seconds, 0.5)

    def test_answers_a_bounded_number_of_pings(self):
        """Of a flood of pings only so many are answered until the answers are taken away."""
        self.receive(*[encode(PING, SYN, 0, n) for n in range(1000)])
        self.assertEqual(len(headers(self.session)), MAX_QUEUED_PONGS)
        self.receive(encode(PING, SYN, 0, 5))
        self.assertEqual(len(headers(self.session)), 1)

    def test_ends_when_answers_pile_up(self):
        """A remote side that provokes answers and lets none be sent is told of the limit and cut off."""
        self.receive(*map(syn, range(2, 2 + 2 * MAX_INBOUND_STREAMS, 2)))
        flood = [syn(n) for n in range(1000, 1000 + 2 * MAX_QUEUED_CONTROL_FRAMES + 2, 2)]
        self.assertViolates(*flood, code=SessionCode.RESOURCE_LIMIT)

    def test_refuses_frames_that_do_not_exist(self):
        """Another version, another type, a ping on a stream or with other flags: GoAway(1)."""
        for frame in (
            b"\1" + encode(PING, SYN, 0, 0)[1:],
            b"\0\4" + encode(PING, SYN, 0, 0)[2:],
            encode(PING, SYN, 1, 0),
            encode(PING, 0, 0, 0),
            encode(PING, SYN | ACK, 0, 0),
            encode(GO_AWAY, 0, 3, 0),
        ):
            self.session = Session(dialer=True)
            self.assertViolates(frame)

    def test_events_before_a_violation_count(self):
        """What came before the fault is still reported."""
        self.assertEqual(self.receive(syn(2), data(2, 3), syn(2))[:2], [StreamOpened(2), DataReceived(2, bytes(3))])

    def test_remote_goaway_ends_the_session(self):
        """Nothing that comes later counts, no stream can be opened, and ours are gone."""
        self.session.open_stream(0.0)
        self.assertEqual(self.receive(encode(GO_AWAY, 0, 0, 2), syn(2)), [GoneAway(2)])
        self.assertEqual(len(self.session._streams), 0)
        self.assertRaises(SessionClosedError, self.session.open_stream, 0.0)

    def test_our_goaway_goes_out_once(self):
        """The second call does nothing."""
        self.session.go_away()
        self.session.go_away()
        self.assertEqual(b"".join(self.session.data_to_send()).hex(), "000300000000000000000000")


frame_bytes = st.builds(
    lambda kind, flags, stream_id, length, body: encode(kind, flags, stream_id, length) + bytes(body),
    st.sampled_from(FrameType),
    st.one_of(st.integers(0, 15), st.just(0), st.just(0)),
    st.integers(0, 9),
    st.one_of(st.integers(0, 100), st.sampled_from([2**18, 2**18 + 1, 2**31, 2**32 - 1])),
    st.one_of(st.integers(0, 100), st.just(2**18)),
)


class GarbageTests(SynchronousTestCase):
    @settings(max_examples=300)
    @given(st.booleans(), st.lists(st.one_of(frame_bytes, st.binary(max_size=40)), max_size=30))
    def test_random_frames_never_raise(self, dialer, chunks):
        """Whatever comes, the session reports or ends, and keeps no more than it may."""
        session = Session(dialer, receive_budget=600_000)
        session.open_stream(0.0)
        ended = False
        for chunk in chunks:
            events = session.receive_data(chunk, 0.0)
            self.assertFalse(ended and events, "an event after the end")
            ended = ended or any(isinstance(event, GoneAway | Violated) for event in events)
            self.assertEqual(ended, session.closed)
            self.assertLessEqual(session.budget.unread, 600_000)
            self.assertLess(len(session._reader._partial), 12)
        if not session.closed:
            self.assertEqual(session.budget.unread, sum(s.window.unread for s in session._streams.values()))

    @given(st.lists(st.tuples(st.integers(1, 1000), st.booleans()), max_size=40))
    def test_budget_comes_back(self, steps):
        """When every stream has been reset, nothing of the budget is taken."""
        session = Session(dialer=False)
        before = session.budget._growth_left
        session.rtt_seconds = 1.0
        for number, (kib, consume) in enumerate(steps):
            stream_id = 1 + 2 * (number % 5)
            if stream_id not in session:
                session.receive_data(syn(stream_id), 0.0)
            size = min(kib * KIB, session._streams[stream_id].window.credit)
            events = session.receive_data(data(stream_id, size), 0.0)
            if consume and stream_id in session and any(isinstance(event, DataReceived) for event in events):
                session.consumed(stream_id, size, 0.0)
        for stream_id in list(session._streams):
            session.reset(stream_id)
        self.assertEqual((session.budget.unread, session.budget._growth_left), (0, before))
