"""How steps are shown, and that what others write cannot do anything to a terminal."""

import io
import json
from contextlib import redirect_stdout

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.steps import Area, Outcome, Step
from nodetrust.client.diagnosis.walked import Walked
from nodetrust.command.check_shown import _AsJson, _AsLines, _Live
from nodetrust.libp2p.keys import PrivateKey

HOSTILE = "\x1b[2J[red]\u202ename\r\nok    forged"
STEPS = [
    Step(Area.ISSUER, "one", Outcome.OK, "is well", facts={"number": 1}),
    Step(Area.PROOFS, HOSTILE, Outcome.FAIL, HOSTILE, HOSTILE),
    Step(Area.DNS, "three", Outcome.SKIP, "not asked"),
]


class ShownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.written = io.StringIO()

    def show(self, kind: type, *, terminal: bool) -> str:
        console = Console(file=self.written, force_terminal=terminal, width=100, highlight=False, color_system=None)
        shown = kind(console)
        with redirect_stdout(self.written):
            for step in STEPS:
                shown.tell(step)
            shown.end(Walked(list(STEPS)), PrivateKey.generate().peer_id, 1)
        return self.written.getvalue()

    def test_live(self) -> None:
        """A heading for each area, a sign for each outcome, what to do, and the sum."""
        shown = self.show(_Live, terminal=True)
        for text in ("Issue servers\n✓  one", "\n✗  ", "→", "–  three", "1 of 2 steps failed; 1 not looked at"):
            self.assertIn(text, shown)
        self.assertIn(" [2J[red] name  ok    forged", " ".join(shown.split("✗")[1].split("→")[0].splitlines()))

    def test_lines(self) -> None:
        """One line a step, whatever is in it."""
        lines = self.show(_AsLines, terminal=False).splitlines()
        self.assertEqual([line[:6] for line in lines], ["ok    ", "FAIL  ", "skip  "])

    def test_harmless(self) -> None:
        """No control character of others reaches the terminal or the file."""
        for kind, terminal in ((_Live, True), (_AsLines, False)):
            self.written = io.StringIO()
            shown = self.show(kind, terminal=terminal)
            self.assertFalse(set(shown) & set("\x1b\r\u202e"), kind)

    def test_json(self) -> None:
        """One line, with everything."""
        (line,) = self.show(_AsJson, terminal=False).splitlines()
        document = json.loads(line)
        self.assertEqual(set(document), {"status", "peer", "zones", "addresses", "steps"})
        self.assertEqual([step["outcome"] for step in document["steps"]], ["ok", "fail", "skip"])
        self.assertEqual(
            document["steps"][0],
            {
                "area": "issuer",
                "title": "one",
                "outcome": "ok",
                "found": "is well",
                "advice": "",
                "facts": {"number": 1},
            },
        )
