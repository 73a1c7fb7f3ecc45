"""From the settings to the files and feeds of the lists."""

from __future__ import annotations

from nodetrust.dns.lists.files import ListFile
from nodetrust.dns.lists.kept import Feed, feed_in
from nodetrust.dns.settings import DnsSettings

FEED_FOLDER = "feeds"
"""Of the state folder."""


def feeds(settings: DnsSettings) -> tuple[Feed, ...]:
    """Whose lists are fetched; one process does it for all."""
    return tuple(feed_in(settings.state / FEED_FOLDER, url) for url in settings.deny_feeds)


def list_files(settings: DnsSettings) -> tuple[ListFile, ...]:
    """All lists, those that feeds leave among them; one process reads them for all."""
    return (
        *(ListFile(path) for path in settings.deny),
        *(ListFile(path, allows=True) for path in settings.allow),
        *(ListFile(feed.path, fetched=True) for feed in feeds(settings)),
    )
