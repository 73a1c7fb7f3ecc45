"""The keys that a proof server signs with: in their order, from their moment on, without a restart."""

import stat
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.proof.keys import FOLDER, POLL_SECONDS, ProofKeyError, SigningKeys, key_at, make_key, read_keys

NOW = 1_700_000_000.0


class KeysCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.own = PrivateKey.generate()


class FolderTests(KeysCase):
    """`make_key`, `read_keys` and `key_at`."""

    def test_each_key_has_its_time(self) -> None:
        """The last key that has begun signs; before all of them the server's own."""
        later, soon = (make_key(self.state, NOW + seconds) for seconds in (100, 10))
        keys = read_keys(self.state, self.own)
        for now, key in ((0, self.own), (NOW + 9.9, self.own), (NOW + 10, soon.key), (NOW + 1e9, later.key)):
            self.assertEqual(key_at(keys, now).peer_id, key.peer_id)

    def test_nobody_else_can_read_it(self) -> None:
        """Whoever has such a key can prove any address."""
        make_key(self.state, NOW)
        for path in (self.state / FOLDER, *(self.state / FOLDER).iterdir()):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0)

    def test_begins_when_it_says(self) -> None:
        """A fraction of a second is rounded up, so that no proof is signed before the time that was printed."""
        made = make_key(self.state, NOW + 0.1)
        self.assertEqual(made.begin, NOW + 1)
        self.assertEqual(read_keys(self.state, self.own)[1].begin, NOW + 1)

    def test_refused(self) -> None:
        """A second key for the same moment, and files that are no keys or have no time for a name; each is named."""
        make_key(self.state, NOW)
        self.assertIn("at once", str(self.assertRaises(ProofKeyError, make_key, self.state, NOW)))
        for name in ("tomorrow.key", "20261122T180000Z.key"):
            path = self.state / FOLDER / name
            path.write_text("no key")
            self.assertIn(name, str(self.assertRaises(NodetrustError, read_keys, self.state, self.own)))
            path.unlink()
        (self.state / FOLDER / ".20261122T180000Z.key.abc").write_text("a file that is being written")
        self.assertEqual(len(read_keys(self.state, self.own)), 2)

    def test_no_folder(self) -> None:
        """A server that was never given a key has its own alone."""
        ((begin, key),) = [(one.begin, one.key) for one in read_keys(self.state, self.own)]
        self.assertEqual((begin, key), (float("-inf"), self.own))
        self.assertRaises(ProofKeyError, make_key, self.state / "missing", NOW)


class SigningTests(KeysCase):
    """`SigningKeys`."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.keys = SigningKeys(self.clock, self.state, self.own)
        self.addCleanup(self.keys.stop)

    def test_a_key_begins_while_the_server_runs(self) -> None:
        """It is seen within seconds, signs from its moment on and not before, and the log says so once."""
        self.keys.start()
        made = make_key(self.state, NOW + 60)
        with capturedLogs() as events:
            for _ in range(11):
                self.clock.advance(POLL_SECONDS)
                self.assertIs(self.keys.current(), self.own)
            self.clock.advance(POLL_SECONDS)
            self.assertEqual(self.keys.current().peer_id, made.key.peer_id)
            self.clock.advance(POLL_SECONDS)
        self.assertEqual([event["id"] for event in events], [str(made.key.peer_id)])

    def test_a_broken_file_changes_nothing(self) -> None:
        """The keys stay as they were and the log says why, once; when the file is right it is read."""
        good = make_key(self.state, NOW)
        self.keys.start()
        path = self.state / FOLDER / "20231114T230000Z.key"
        path.write_text("no key")
        path.chmod(0o600)
        with capturedLogs() as events:
            self.clock.pump([POLL_SECONDS] * 3)
        self.assertEqual([event["log_level"].name for event in events], ["error"])
        self.assertEqual(self.keys.current().peer_id, good.key.peer_id)
        path.unlink()
        newer = make_key(self.state, NOW + 20)
        self.clock.advance(POLL_SECONDS)
        self.assertEqual(self.keys.current().peer_id, newer.key.peer_id)

    def test_does_not_start_with_a_broken_file(self) -> None:
        """At the start the operator is there to see it."""
        (self.state / FOLDER).mkdir()
        (self.state / FOLDER / "x.key").write_text("")
        self.assertRaises(ProofKeyError, self.keys.start)

    def test_a_key_taken_away(self) -> None:
        """The one before it signs again."""
        make_key(self.state, NOW)
        self.keys.start()
        for path in (self.state / FOLDER).iterdir():
            path.unlink()
        self.clock.advance(POLL_SECONDS)
        self.assertIs(self.keys.current(), self.own)
