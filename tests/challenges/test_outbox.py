"""What a DNS server still has to be told: the latest wish alone, with pauses, for as long as it is of use."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.challenges.outbox import (
    LAST_PAUSE_OF_ORDERS_SECONDS,
    LAST_PAUSE_SECONDS,
    REMOVE_SECONDS,
    SET_SECONDS,
    Outbox,
    Wish,
)

ONE, TWO = (("ip41-2-3-4.nt.example.org", letter * 43) for letter in "vw")
SET_ONE, REMOVE_ONE = Wish(ONE, remove=False), Wish(ONE, remove=True)
SET_TWO = Wish(TWO, remove=False)


class OutboxTests(SynchronousTestCase):
    def setUp(self):
        self.outbox = Outbox()

    def test_in_order_and_once(self):
        """What was wanted first is told first, and nothing is on its way twice."""
        self.outbox.set(ONE, 0)
        self.outbox.set(TWO, 0)
        self.assertEqual(self.outbox.take(0, 1), [SET_ONE])
        self.assertEqual(self.outbox.take(0, 9), [SET_TWO])
        self.assertEqual(self.outbox.take(0, 9), [])
        self.outbox.confirm(SET_ONE)
        self.assertEqual(len(self.outbox), 1)

    def test_withdrawn_before_the_server_heard_of_it(self):
        """Nothing of it is told, neither that it is set nor that it is removed."""
        self.outbox.set(ONE, 0)
        self.outbox.remove(ONE, 0)
        self.assertEqual(len(self.outbox), 0)
        self.outbox.set(ONE, 0)
        self.outbox.take(0, 9)
        self.outbox.remove(ONE, 0)
        self.outbox.postpone([SET_ONE], 0)  # it could not be reached
        self.assertEqual(len(self.outbox), 0)

    def test_withdrawn_when_the_server_may_have_heard_of_it(self):
        """It is told to remove it, whatever came of the first."""
        for end in (lambda: self.outbox.confirm(SET_ONE), lambda: self.outbox.postpone([SET_ONE], 1)):
            self.outbox.set(ONE, 0)
            self.outbox.told(self.outbox.take(0, 9))
            self.outbox.remove(ONE, 1)
            self.assertEqual(self.outbox.take(1, 9), [])
            end()
            self.assertEqual(self.outbox.take(1, 9), [REMOVE_ONE])
            self.outbox.confirm(REMOVE_ONE)

    def test_removed_by_a_process_that_never_set_it(self):
        """After a restart the order's row still has the challenge."""
        self.outbox.remove(ONE, 0)
        self.assertEqual(self.outbox.take(0, 9), [REMOVE_ONE])
        self.outbox.postpone([REMOVE_ONE], 0)
        self.assertEqual(len(self.outbox), 1)

    def pauses(self, wish, count):
        found, now = [], 0.0
        for _ in range(count):
            self.outbox.postpone(self.outbox.take(now, 9), now)
            found.append(self.outbox.seconds_to_next(now))
            now += found[-1]
        return found

    def test_pauses_grow(self):
        """From a second to a minute; an order in progress is looked after more often."""
        self.outbox.remove(ONE, 0)
        self.assertEqual(self.pauses(REMOVE_ONE, 8), [1, 2, 4, 8, 16, 32, LAST_PAUSE_SECONDS, LAST_PAUSE_SECONDS])
        self.outbox.confirm(self.outbox.take(1000, 1)[0])
        self.outbox.set(ONE, 0)
        self.assertEqual(self.pauses(SET_ONE, 4), [1, 2, LAST_PAUSE_OF_ORDERS_SECONDS, LAST_PAUSE_OF_ORDERS_SECONDS])

    def test_one_confirmation_shows_that_the_server_is_back(self):
        """Then all the others are due at once."""
        for challenge in (ONE, TWO):
            self.outbox.remove(challenge, 0)
        for now in (0, 100, 200):
            self.outbox.take(now, 1)
            self.outbox.postpone([REMOVE_ONE], now)
            self.outbox.postpone_all(now)
        self.assertEqual(len(self.outbox.take(300, 1)), 1)
        self.outbox.postpone_all(300)
        self.outbox.confirm(REMOVE_ONE)
        self.assertEqual(self.outbox.seconds_to_next(301), 0)
        self.assertEqual(self.outbox.take(301, 9), [Wish(TWO, remove=True)])

    def test_a_refusal(self):
        """It is asked again after a pause, whatever else the server confirms meanwhile."""
        self.outbox.set(ONE, 0)
        self.outbox.set(TWO, 0)
        self.outbox.take(0, 9)
        self.outbox.refused(SET_ONE, 0)
        self.outbox.confirm(SET_TWO)
        self.assertEqual(self.outbox.take(0.9, 9), [])
        self.assertEqual(self.outbox.take(1, 9), [SET_ONE])

    def test_too_late_to_be_of_use(self):
        """A challenge that no order waits for any more is not set, one that has ended by itself is not removed."""
        self.outbox.set(ONE, 0)
        self.outbox.remove(TWO, 0)
        self.assertEqual([wish.challenge for wish in self.outbox.take(SET_SECONDS, 9)], [TWO])
        self.outbox.postpone([Wish(TWO, remove=True)], SET_SECONDS)
        self.assertEqual(self.outbox.take(REMOVE_SECONDS, 9), [])
        self.assertEqual(len(self.outbox), 0)

    def test_bounded(self):
        """Past so many nothing new is taken, but what is there may change."""
        outbox = Outbox(max_entries=1)
        self.assertTrue(outbox.set(ONE, 0))
        self.assertFalse(outbox.set(TWO, 0))
        outbox.told(outbox.take(0, 1))
        self.assertTrue(outbox.remove(ONE, 0))

    @given(st.lists(st.sampled_from(["set", "remove", "take", "ok", "fail", "unreachable"]), max_size=40))
    def test_the_server_ends_as_it_was_last_wanted(self, steps):
        """Whatever happens on the way, once nothing is owed the server has what was wanted last."""
        outbox, server, wanted, way = Outbox(), False, False, []
        ever_set = False

        def end(outcome):
            nonlocal server
            for wish in way:
                if outcome == "unreachable":
                    outbox.postpone([wish], 0)
                    continue
                outbox.told([wish])
                server = not wish.remove  # it did it, but "fail" is an answer that was lost
                if outcome == "ok":
                    outbox.confirm(wish)
                else:
                    outbox.postpone([wish], 0)
            way.clear()

        for step in steps:
            if step == "set":
                wanted = ever_set = True
                outbox.set(ONE, 0)
            elif step == "remove" and ever_set:
                wanted = False
                outbox.remove(ONE, 0)
            elif step == "take" and not way:
                way += outbox.take(0, 1)
            else:
                end(step)
        end("ok")
        for now in range(5, 50, 5):
            way += outbox.take(now, 1)
            end("ok")
        self.assertEqual((server, len(outbox)), (wanted, 0))
