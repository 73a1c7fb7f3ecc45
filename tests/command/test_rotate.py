"""`nodetrust key rotate`, as a person calls it, and what the servers make of what it prints."""

import time
from pathlib import Path

from nodetrust.issue.evidence.trust import read_proof_keys
from nodetrust.keyfile import load_or_create
from nodetrust.proof.keys import OVERLAP_SECONDS, key_at, read_keys
from nodetrust.service import KEY_FILE
from tests.command.test_name import CommandCase


class RotateTests(CommandCase):
    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.own = load_or_create(self.state / KEY_FILE)
        self.server = self.own.peer_id

    def rotate(self, *options: str) -> tuple[dict, dict, str]:
        """The keys that issue servers are to trust before and after, as they read the lines, and all of the output."""
        output = self.output("key", "rotate", str(self.state), *options)
        before, _, after = output.partition("From ")
        return self.read(before), self.read(after), output

    def read(self, text: str) -> dict:
        lines = [line for line in text.splitlines() if line.startswith(str(self.server))]
        return read_proof_keys("\n".join(lines).encode(), "printed", [self.server])

    def signers(self, *times: float) -> list:
        return [key_at(read_keys(self.state, self.own), now).peer_id for now in times]

    def test_what_is_printed_is_what_signs(self) -> None:
        """At every time the key that signs is among those that issue servers were told to trust."""
        now = time.time()
        before, after, output = self.rotate()
        begin = now + 86400
        old, new = self.signers(now, begin + 5)
        self.assertEqual(before, {self.server: (old, new)})
        self.assertEqual(after, {self.server: (new,)})
        self.assertEqual(self.signers(begin - 5, begin + OVERLAP_SECONDS), [old, new])
        self.assertIn(f"key     {new}", output)

    def test_keys_that_wait(self) -> None:
        """A key that is to begin later stays among the lines, and one that begins earlier leaves them."""
        now = time.time()
        self.rotate("--begin-in", "2d")
        _, later = self.signers(now, now + 3 * 86400)
        before, after, _ = self.rotate("--begin-in", "1h")
        soon = self.signers(now + 7200)[0]
        self.assertEqual(set(before[self.server]), {self.server, soon, later})
        self.assertEqual(after[self.server], (soon, later))
        last = self.rotate("--begin-in", "3d")
        self.assertEqual(set(last[0][self.server]), {self.server, soon, later, self.signers(now + 4 * 86400)[0]})
        self.assertEqual(last[1][self.server], tuple(self.signers(now + 4 * 86400)))

    def test_at_once(self) -> None:
        """A stolen key is followed within a second, and the identity stays."""
        self.rotate("--begin-in", "0s")
        (now,) = self.signers(time.time() + 1)
        self.assertNotEqual(now, self.server)
        self.assertEqual(load_or_create(self.state / KEY_FILE).peer_id, self.server)

    def test_units(self) -> None:
        """Seconds, minutes, hours and days."""
        for duration, seconds in (("90s", 90), ("30m", 1800), ("12h", 43_200), ("2d", 172_800)):
            now = time.time()
            self.rotate("--begin-in", duration)
            begins = [one.begin for one in read_keys(self.state, self.own)]
            self.assertTrue(any(0 <= begin - now - seconds < 30 for begin in begins), duration)

    def test_says_what_is_wrong(self) -> None:
        """A duration that is none, a folder that is no server's, a broken key beside it."""
        for duration in ("1", "1x", "-1d", "1.5d", "d", "١d"):
            self.assertIn("such as 1d", self.refusal("key", "rotate", str(self.state), "--begin-in", duration))
        empty = Path(self.mktemp())
        empty.mkdir()
        self.assertIn("can not be read", self.refusal("key", "rotate", str(empty)))
        self.rotate()
        (path,) = (self.state / "proof-keys").iterdir()
        path.write_text("no key")
        self.assertIn(path.name, self.refusal("key", "rotate", str(self.state)))
