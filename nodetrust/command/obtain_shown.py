"""What `nodetrust obtain` shows on stderr: steps and a spinner on a terminal, elsewhere errors alone."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from nodetrust.client.errors import NoIssuer
from nodetrust.client.obtain import Obtained
from nodetrust.command.spinner import Spinner
from nodetrust.messages import readable


class Shown:
    """Entered by `with spinner`; a step counts as done when the next one begins, or the work ends well."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self.spinner = Spinner(self._console)
        self._step = ""

    def step(self, text: str) -> None:
        """This is what is done from now on."""
        self._finish_step()
        self._step = readable(text)
        self.spinner.say(text)

    def done(self, folder: Path, obtained: Obtained) -> None:
        """The certificate is in the folder."""
        self._finish_step()
        if self.spinner.is_shown:
            until = obtained.chain.not_after.strftime("%Y-%m-%d %H:%M UTC")
            known = ", which was there already" if obtained.from_cache else ""
            text = f"certificate in {folder}, good until {until}{known}"
            self._console.print(Text.assemble(("✓", "green"), f" {text}"), soft_wrap=True)

    def fail(self, error: Exception) -> None:
        """There is none; of several issue servers, each has its line."""
        cross = ("✗ ", "bold red") if self.spinner.is_shown else ""
        for reason in error.reasons if isinstance(error, NoIssuer) else (error,):
            self._console.print(Text.assemble(cross, (readable(str(reason)), "red")), soft_wrap=True)

    def _finish_step(self) -> None:
        if self.spinner.is_shown and self._step:
            self._console.print(Text.assemble(("✓", "green"), f" {self._step}"), soft_wrap=True)
