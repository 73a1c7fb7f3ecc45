"""Whose word counts: files of proof keys, what they put in force, and clocks that differ."""

from pathlib import Path
from types import SimpleNamespace

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.evidence.in_force import POLL_SECONDS, TrustInForce
from nodetrust.issue.evidence.trust import (
    MAX_KEYS,
    ProofKeysError,
    SkewReports,
    Trust,
    ahead_ms,
    own_keys,
    read_proof_keys,
    trust_in,
)
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.errors import ListError
from nodetrust.lists.files import POLL_SECONDS as LISTS_POLL_SECONDS
from tests.dns.threads import ThreadlessClock

ONE, TWO, FIRST, SECOND, STRANGER = (PrivateKey.generate().peer_id for _ in range(5))


def read(*lines: str) -> dict:
    return read_proof_keys("\n".join(lines).encode(), "the.keys", (ONE, TWO))


class ReadingTests(SynchronousTestCase):
    """`read_proof_keys`."""

    def test_who_is_in_the_file(self) -> None:
        """A server in the file has the keys that stand there and no other; one that is not has its own."""
        self.assertEqual(read(), {ONE: (ONE,), TWO: (TWO,)})
        self.assertEqual(read(f"{ONE} {FIRST}"), {ONE: (FIRST,), TWO: (TWO,)})
        self.assertEqual(read(f"{ONE} {ONE}", f"{ONE} {FIRST}", ""), {ONE: (ONE, FIRST), TWO: (TWO,)})
        self.assertEqual(read(f"{TWO} none # stolen"), {ONE: (ONE,), TWO: ()})

    def test_forms(self) -> None:
        """Comments, tabs, any line ends, CIDs."""
        text = f"# keys\r\n\r\n  {ONE}\t{FIRST.to_cid_base36()}  # since May\r\n"
        self.assertEqual(read_proof_keys(text.encode(), "x", [ONE]), {ONE: (FIRST,)})

    def test_refused(self) -> None:
        """What is wrong is named with its line, and nothing of such a file is used."""
        rsa = PrivateKey.generate(KeyType.RSA).peer_id
        weak = PeerId(b"\x00\x24\x08\x01\x12\x20" + bytes(32))  # a point of small order
        for line, reason in (
            (f"{ONE}", "expected"),
            (f"{ONE} {FIRST} {SECOND}", "expected"),
            (f"{STRANGER} {FIRST}", "proof_servers"),
            (f"{ONE} {str(FIRST)[:-1]}", "peer ID"),
            (f"{ONE}\u200b {FIRST}", "peer ID"),
            (f"none {FIRST}", "peer ID"),
            (f"{ONE} {rsa}", "holds no key"),
            (f"{ONE} {weak}", "holds no key"),
            (f"{TWO} {FIRST}", "another server's"),
        ):
            error = self.assertRaises(ProofKeysError, read, f"{ONE} {FIRST}", line)
            self.assertTrue(str(error).startswith("the.keys:2: "), error)
            self.assertIn(reason, str(error))
        self.assertRaises(ProofKeysError, read_proof_keys, b"\xff", "x", [ONE])
        self.assertRaises(ProofKeysError, read_proof_keys, b" " * 70_000, "x", [ONE])
        many = [f"{ONE} {PrivateKey.generate().peer_id}" for _ in range(MAX_KEYS + 1)]
        self.assertIn("more than", str(self.assertRaises(ProofKeysError, read, *many)))

    def test_whose_key_it_is(self) -> None:
        """A key leads to its server, and to what verifies."""
        trust = trust_in(read(f"{ONE} {FIRST}", f"{ONE} {SECOND}"))
        self.assertEqual(trust.servers, {FIRST: ONE, SECOND: ONE, TWO: TWO})
        self.assertEqual(set(trust.keys), {FIRST, SECOND, TWO})
        self.assertEqual(trust.keys_of(ONE), [FIRST, SECOND])


class SkewTests(SynchronousTestCase):
    def test_what_is_known_of_a_clock(self) -> None:
        """With a nonce the proof was made between two moments that are known here; without, before now at most."""
        for made, given, expected in (
            (150, 100, 0),
            (100, 100, 0),
            (200, 100, 0),
            (99, 100, -1),
            (250, 100, 50),
            (150, None, -50),
            (250, None, 50),
        ):
            self.assertEqual(ahead_ms(made, 200, given), expected)

    def test_once_an_hour(self) -> None:
        """More than five seconds is said, once for each server and hour, also after a clock was set back."""
        reports = SkewReports()
        for server, skew, now, expected in (
            (ONE, 5_000, 0.0, False),
            (ONE, 5_001, 0.0, True),
            (ONE, -90_000, 3599.0, False),
            (TWO, -5_001, 3599.0, True),
            (ONE, 5_001, 3600.0, True),
            (ONE, 5_001, 10.0, True),
        ):
            self.assertEqual(reports.is_news(server, skew, now), expected)


class InForceTests(SynchronousTestCase):
    """`TrustInForce`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.keys, self.deny = self.folder / "keys", self.folder / "deny"
        self.keys.write_text(f"{ONE} {ONE}\n")
        self.deny.write_text("")
        self.clock = ThreadlessClock()
        self.told: list[Trust] = []
        self.trust = self.open()

    def open(self, **changes: object) -> TrustInForce:
        settings = {
            "state": self.folder,
            "proof_ids": frozenset([ONE, TWO]),
            "proof_keys": self.keys,
            "quorum": 2,
            "deny": (self.deny,),
            "allow": (),
            "deny_feeds": (),
            "feed_seconds": 3600,
        }
        trust = TrustInForce(self.clock, SimpleNamespace(**(settings | changes)))
        trust.tell(self.told.append)
        return trust

    def test_at_the_start(self) -> None:
        """The files are read before anything is decided; a missing or broken one ends the start."""
        self.trust.start()
        self.assertEqual((set(self.trust.trust.keys), self.trust.trust.quorum), ({ONE, TWO}, 2))
        for changes, error in (
            ({"proof_keys": self.folder / "missing"}, ProofKeysError),
            ({"deny": (self.folder / "missing",)}, ListError),
        ):
            self.assertIn("missing", str(self.assertRaises(error, self.open(**changes).start)))
        plain = self.open(proof_keys=None, deny=())
        plain.start()
        self.assertEqual(plain.trust.servers, trust_in(own_keys([ONE, TWO])).servers)

    def test_a_key_is_out_within_seconds(self) -> None:
        """What changes in the file of keys is in force at the next look, whole."""
        self.trust.start()
        self.keys.write_text(f"{ONE} {FIRST}\n{TWO} none\n")
        self.clock.advance(POLL_SECONDS)
        (trust,) = self.told
        self.assertEqual(set(trust.keys), {FIRST})
        self.clock.advance(POLL_SECONDS)
        self.assertEqual(len(self.told), 1)

    def test_a_broken_file_changes_nothing(self) -> None:
        """The keys stay as they were, and the log says why, once for each change, with the line."""
        self.trust.start()
        for change in (lambda: self.keys.write_text(f"{ONE} {FIRST}\n{ONE}\n"), self.keys.unlink):
            change()
            with capturedLogs() as events:
                self.clock.pump([POLL_SECONDS] * 2)
            self.assertEqual([event["log_level"].name for event in events], ["error"])
            self.assertIn(str(self.keys), events[0]["error"])
        self.assertEqual((self.told, set(self.trust.trust.keys)), ([], {ONE, TWO}))

    def test_a_block_is_in_force_within_a_minute(self) -> None:
        """Without a restart, and it goes again when its line is gone."""
        self.trust.start()
        self.assertLess(LISTS_POLL_SECONDS, 60)
        self.deny.write_text(f"{STRANGER}\n")
        self.clock.advance(LISTS_POLL_SECONDS)
        self.assertTrue(self.told[-1].lists.deny_peer(STRANGER))
        self.deny.write_text("192.0.2.0/24\n")
        self.clock.advance(LISTS_POLL_SECONDS)
        self.assertFalse(self.told[-1].lists.deny_peer(STRANGER))

    def test_stop(self) -> None:
        """After stop, files are looked at no more."""
        self.trust.start()
        self.trust.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
