"""From the settings to the lists of a role: read, watched, fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from nodetrust.lists.files import ListFile, ListFiles, ListState
from nodetrust.lists.kept import Feed, feed_in
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.settings import SettingsError

FEED_FOLDER = "feeds"
"""Of the state folder."""

DEFAULT_FEED_SECONDS = 3600
"""Spamhaus asks not to fetch its DROP list more often than that."""

CONNECT_SECONDS = 10.0


class ListSettings(Protocol):
    """The settings of a role that has lists."""

    @property
    def state(self) -> Path:
        """The state folder, in which feeds are kept."""

    @property
    def deny(self) -> Sequence[Path]:
        """Denylists."""

    @property
    def allow(self) -> Sequence[Path]:
        """Allowlists."""

    @property
    def deny_feeds(self) -> Sequence[str]:
        """URLs of denylists."""

    @property
    def feed_seconds(self) -> int:
        """How often these are fetched."""


class Fetches(Protocol):
    """Feeds that are fetched on a timer."""

    def stop(self) -> None:
        """Fetch no more."""


def check_feeds(urls: Sequence[str]) -> None:
    """What must hold for the setting `deny_feeds`. Raises SettingsError."""
    for url in urls:
        if not url.startswith("https://"):
            raise SettingsError(f"deny_feeds: expected an https URL, got {url}")


def feeds(settings: ListSettings) -> tuple[Feed, ...]:
    """Whose lists are fetched; one process does it for all."""
    return tuple(feed_in(settings.state / FEED_FOLDER, url) for url in settings.deny_feeds)


def list_files(settings: ListSettings) -> tuple[ListFile, ...]:
    """All lists, those that feeds leave among them; one process reads them for all."""
    return (
        *(ListFile(path) for path in settings.deny),
        *(ListFile(path, allows=True) for path in settings.allow),
        # A query may have a key in it, which is nobody's business.
        *(ListFile(feed.path, fetched=True, name=feed.url.partition("?")[0]) for feed in feeds(settings)),
    )


def start_feeds(reactor: Any, settings: ListSettings) -> Fetches | None:
    """Fetch now and on the timer, if there is anything to fetch.

    The libraries for it are imported for those who use them: they would double the time of the start.
    """
    if not settings.deny_feeds:
        return None
    from treq.client import HTTPClient  # noqa: PLC0415  # as said above
    from twisted.web.client import Agent  # noqa: PLC0415

    from nodetrust.lists.feeds import Feeds  # noqa: PLC0415

    client = HTTPClient(Agent(reactor, connectTimeout=CONNECT_SECONDS))
    fetching = Feeds(reactor, client, feeds(settings), settings.feed_seconds)
    fetching.start()
    return fetching


class ListsInForce:
    """The lists of a role: `lists` is what is in force now, and `put_in_force` is told when that changes."""

    def __init__(
        self, reactor: Any, settings: ListSettings, put_in_force: Callable[[Lists], None] = lambda _: None
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._put_in_force = put_in_force
        self._files = ListFiles(reactor, list_files(settings), self._replace)
        self._feeds: Fetches | None = None
        self.lists = NO_LISTS

    def start(self) -> None:
        """Read the files, blocking, and from now on when they change. Raises ListError."""
        self.lists = self._files.load()
        self._files.start()
        self._feeds = start_feeds(self._reactor, self._settings)

    @property
    def states(self) -> tuple[ListState, ...]:
        """Each list as it is in force."""
        return self._files.states

    def stop(self) -> None:
        """Look at nothing and fetch nothing any more."""
        self._files.stop()
        if self._feeds is not None:
            self._feeds.stop()

    def _replace(self, lists: Lists) -> None:
        self.lists = lists
        self._put_in_force(lists)
