"""A spinner with what is being done, where a person looks: on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from nodetrust.messages import readable


class Spinner:
    """A context for the time of the work. Nothing is shown where the console is no terminal."""

    def __init__(self, console: Console) -> None:
        self._status: Status | None = console.status("") if console.is_terminal else None

    @property
    def is_shown(self) -> bool:
        """Whether there is a person to see it."""
        return self._status is not None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing is being done any more; what is printed from now on stays where it is."""
        if self._status is not None:
            self._status.stop()

    def say(self, text: str, style: str = "") -> None:
        """This is being done now; the text may be a peer's."""
        if self._status is not None:
            self._status.update(Text(readable(text), style))
