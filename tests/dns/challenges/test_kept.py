"""Challenges on the disk: crashes at every byte, full disks, clocks that jump."""

import errno
import os
from pathlib import Path
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.dns01 import ChallengesInMemory
from nodetrust.dns.challenges.journal import COMPACT_BYTES, Change, Journal, Now, lasting
from nodetrust.dns.challenges.kept import FOLLOW_SECONDS, Clocks, Kept, restore
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.errors import ChallengeRefused
from tests.dns.threads import ThreadlessClock

LIFE = 600.0


def challenge(number: int) -> Challenge:
    return Challenge((b"ip41-2-3-%d" % number, b"nt", b"test"), b"%043d" % number)


class KeptTests(SynchronousTestCase):
    """`Kept` and `restore`: a server that ends without a word, and another one after it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "challenges.journal"
        self.reactor = ThreadlessClock()
        self.wall, self.boot = 1.7e9, "boot 1"
        self.start()

    def start(self) -> None:
        """The process begins; what another one had in memory is gone."""
        clocks = Clocks(self.reactor.seconds, lambda: self.wall, lambda: self.boot)
        self.table = ChallengeTable(LIFE)
        self.journal = Journal(self.path)
        self.addCleanup(self.journal.close)
        restore(self.journal, self.table, clocks)
        inner = ChallengesInMemory(self.table, self.reactor.seconds)
        self.kept = Kept(self.reactor, inner, self.journal, self.table, clocks)

    def add(self, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.kept.add(challenge(number)))

    def remove(self, number: int) -> Deferred[None]:
        return Deferred.fromCoroutine(self.kept.remove(challenge(number)))

    def advance(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.wall += seconds

    def in_force(self) -> list[int]:
        now = self.reactor.seconds()
        return sorted(int(found.value) for found, _ in self.table.snapshot(now))

    def test_again_after_a_crash(self) -> None:
        """What was acknowledged is answered again for the rest of its life, and what was removed is not."""
        for number in (1, 2, 3):
            self.successResultOf(self.add(number))
        self.successResultOf(self.remove(2))
        self.advance(100)
        self.start()
        self.assertEqual(self.in_force(), [1, 3])
        self.advance(499)
        self.assertEqual(self.in_force(), [1, 3])
        self.advance(2)
        self.assertEqual(self.in_force(), [])

    def test_two_servers(self) -> None:
        """While one takes over from the other, what is set or removed at either is so at both."""
        self.successResultOf(self.add(1))
        old, old_table = self.kept, self.table
        old.start_following()
        self.addCleanup(old.stop)
        self.start()
        self.kept.start_following()
        self.addCleanup(self.kept.stop)
        self.successResultOf(Deferred.fromCoroutine(old.add(challenge(2))))
        self.successResultOf(self.add(3))
        self.advance(FOLLOW_SECONDS)
        self.assertEqual(self.in_force(), [1, 2, 3])
        self.assertEqual(len(old_table), 3)
        self.successResultOf(self.remove(1))
        self.successResultOf(Deferred.fromCoroutine(old.remove(challenge(3))))
        self.advance(FOLLOW_SECONDS)
        self.assertEqual(self.in_force(), [2])
        self.assertEqual(len(old_table), 1)

    def test_a_second_life(self) -> None:
        """A value that is set again lives from then on, after a crash too."""
        self.successResultOf(self.add(1))
        self.advance(500)
        self.successResultOf(self.add(1))
        self.advance(500)
        self.start()
        self.assertEqual(self.in_force(), [1])

    def test_clock_jumps(self) -> None:
        """Within one boot, setting the wall clock neither ends nor prolongs anything."""
        for jump in (90 * 86400.0, -90 * 86400.0, -10 * 365 * 86400.0):
            self.successResultOf(self.add(1))
            self.wall += jump
            self.start()
            self.assertEqual(self.in_force(), [1])
            self.advance(599)
            self.start()
            self.assertEqual(self.in_force(), [1])
            self.advance(2)
            self.start()
            self.assertEqual(self.in_force(), [])

    def test_reboots(self) -> None:
        """After a boot the wall clock counts; one that went back prolongs no life beyond a whole one."""
        self.successResultOf(self.add(1))
        self.boot, self.wall = "boot 2", self.wall + 500
        self.start()
        self.assertEqual(self.in_force(), [1])
        self.boot, self.wall = "boot 3", self.wall + 101
        self.start()
        self.assertEqual(self.in_force(), [])
        self.successResultOf(self.add(2))
        self.boot, self.wall = "boot 4", self.wall - 86400
        self.start()
        self.assertEqual([left for _, left in self.table.snapshot(self.reactor.seconds())], [LIFE])

    def test_disk_full(self) -> None:
        """A challenge that cannot be kept is refused and not answered; others stay; room brings everything back."""
        self.successResultOf(self.add(1))
        size = self.path.stat().st_size
        with capturedLogs() as events:
            for function in ("write", "fdatasync"):
                with patch(f"os.{function}", side_effect=OSError(errno.ENOSPC, "No space left on device")):
                    self.failureResultOf(self.add(2), ChallengeRefused)
                    self.successResultOf(self.remove(1) if function == "fdatasync" else self.remove(3))
                self.assertEqual(self.path.stat().st_size, size)
        self.assertEqual(len([event for event in events if event["log_level"].name == "error"]), 1)
        self.assertEqual(self.in_force(), [])
        self.successResultOf(self.add(4))
        self.start()
        self.assertEqual(self.in_force(), [1, 4])

    def test_half_a_line(self) -> None:
        """A disk that takes half of a line has none of it afterwards."""
        self.successResultOf(self.add(1))
        write, room = os.write, [30]

        def little(descriptor: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken, room[0] = write(descriptor, data[: room[0]]), 0
            return taken

        with patch("os.write", little):
            self.failureResultOf(self.add(2), ChallengeRefused)
        self.successResultOf(self.add(3))
        self.start()
        self.assertEqual(self.in_force(), [1, 3])

    def test_no_disk_at_all(self) -> None:
        """A file that cannot be opened refuses challenges, one by one, until it can be."""
        with patch.object(self.journal, "_open_file", side_effect=OSError(errno.EMFILE, "Too many open files")):
            self.failureResultOf(self.add(1), ChallengeRefused)
        self.successResultOf(self.add(2))
        self.start()
        self.assertEqual(self.in_force(), [2])

    def test_refused_by_the_table(self) -> None:
        """What the table has no room for does not come back with a restart."""
        same = [Challenge((b"ip41-2-3-4", b"nt", b"test"), b"%043d" % number) for number in range(9)]
        for one in same[:8]:
            self.successResultOf(Deferred.fromCoroutine(self.kept.add(one)))
        self.failureResultOf(Deferred.fromCoroutine(self.kept.add(same[8])), ChallengeRefused)
        self.start()
        self.assertEqual(self.in_force(), list(range(8)))

    def test_not_without_limit(self) -> None:
        """However many challenges come and go, the file stays small, and has all that are in force."""
        self.successResultOf(self.add(0))
        self.patch(os, "fdatasync", lambda descriptor: None)
        for number in range(1, 1000):
            self.successResultOf(self.add(number))
            self.successResultOf(self.remove(number))
            self.assertLess(self.path.stat().st_size, COMPACT_BYTES + 1000)
        self.start()
        self.assertEqual(self.in_force(), [0])

    def test_together(self) -> None:
        """What is asked for while the disk works is written together, in its order, and acknowledged afterwards."""
        self.reactor.hold()
        results = [self.add(1), self.add(2), self.remove(1), self.add(3)]
        for result in results[:2]:
            self.assertNoResult(result)
        with patch("os.fdatasync") as sync:
            self.reactor.release()
        for result in results:
            self.successResultOf(result)
        self.assertEqual(sync.call_count, 2)
        self.start()
        self.assertEqual(self.in_force(), [2, 3])

    def test_mode(self) -> None:
        """Nobody else reads or writes the file."""
        self.successResultOf(self.add(1))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.start()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)


class JournalTests(SynchronousTestCase):
    """`Journal` as a file."""

    now = Now(1.7e9, 1000.0, "boot")

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def journal(self) -> Journal:
        made = Journal(self.path)
        self.addCleanup(made.close)
        return made

    def test_cut_anywhere(self) -> None:
        """A crash in the middle of a write loses that line alone, and the next line is whole again."""
        first = [lasting(challenge(number), LIFE, self.now) for number in (1, 2)]
        self.journal().append(first)
        before = self.path.read_bytes()
        self.journal().append([lasting(challenge(3), LIFE, self.now)])
        after = self.path.read_bytes()
        for end in range(len(before), len(after)):
            self.path.write_bytes(after[:end])
            self.assertEqual(self.journal().read(), first)
            self.journal().append([lasting(challenge(4), LIFE, self.now)])
            self.assertEqual([int(change.challenge.value) for change in self.journal().read()], [1, 2, 4])

    def test_damage(self) -> None:
        """A damaged byte costs its own line and no other; garbage is an empty journal."""
        self.journal().append([lasting(challenge(number), LIFE, self.now) for number in range(3)])
        content = self.path.read_bytes()
        for place in range(len(content)):
            damaged = bytearray(content)
            damaged[place] ^= 0x01
            self.path.write_bytes(damaged)
            self.assertGreaterEqual(len(self.journal().read()), 1 if content[place : place + 1] == b"\n" else 2)
        for garbage in (b"", b"\n\n\n", os.urandom(1000), b"00000000 []\n", b'8d29ae1c "x"\n'):
            self.path.write_bytes(garbage)
            self.assertEqual(self.journal().read(), [])

    def test_a_full_disk_spares_what_another_wrote(self) -> None:
        """What cannot be written is cut away again, and nothing of another server's that stands before it."""
        first, second = Journal(self.path), Journal(self.path)
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        now = Now(0.0, 0.0)
        first.append([lasting(challenge(1), LIFE, now)])
        second.append([lasting(challenge(2), LIFE, now)])
        with patch("os.fdatasync", side_effect=OSError(errno.ENOSPC, "full")):
            self.assertRaises(OSError, first.append, [lasting(challenge(3), LIFE, now)])
        self.assertEqual([change.challenge for change in first.read()], [challenge(1), challenge(2)])

    def test_rewritten_by_another(self) -> None:
        """A file that another process has rewritten, or that is gone, is opened anew."""
        mine, other = self.journal(), self.journal()
        mine.append([lasting(challenge(1), LIFE, self.now)])
        other.compact(self.now)
        mine.append([lasting(challenge(2), LIFE, self.now)])
        self.assertEqual(len(other.read()), 2)
        self.path.unlink()
        mine.append([lasting(challenge(3), LIFE, self.now)])
        self.assertEqual(len(other.read()), 1)

    def test_names_of_any_octets(self) -> None:
        """A name keeps its octets."""
        odd = Challenge((b"ip41-2-3-4", bytes(range(60)), b"nt"), b"x" * 43)
        self.journal().append([lasting(odd, LIFE, self.now), Change(challenge(1))])
        self.assertEqual([change.challenge for change in self.journal().read()], [odd])
