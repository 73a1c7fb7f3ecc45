"""From the settings to the lists in force."""

from pathlib import Path
from types import SimpleNamespace

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.lists.build import ListsInForce, check_feeds, feeds, start_feeds
from nodetrust.lists.errors import ListError
from nodetrust.lists.files import POLL_SECONDS
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.settings import SettingsError
from tests.dns.threads import ThreadlessClock

PEER = PrivateKey.generate().peer_id
URL = "https://lists.example/drop.txt"


class BuildCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.deny, self.allow = self.folder / "deny", self.folder / "allow"
        self.deny.write_text(f"{PEER}\n1.2.3.0/24\n")
        self.allow.write_text("")

    def settings(self, *deny_feeds: str) -> SimpleNamespace:
        lists = {"deny": (self.deny,), "allow": (self.allow,)}
        return SimpleNamespace(state=self.folder, deny_feeds=deny_feeds, feed_seconds=3600, **lists)


class InForceTests(BuildCase):
    """`ListsInForce`."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = ThreadlessClock()
        self.told: list[Lists] = []
        self.lists = ListsInForce(self.clock, self.settings(), self.told.append)

    def test_from_start_to_stop(self) -> None:
        """Nothing is denied before the start; then what the files say, until the stop."""
        self.assertIs(self.lists.lists, NO_LISTS)
        self.lists.start()
        self.assertTrue(self.lists.lists.deny_peer(PEER))
        self.allow.write_text(f"{PEER}\n")
        self.clock.advance(POLL_SECONDS)
        self.assertFalse(self.lists.lists.deny_peer(PEER))
        self.assertEqual(self.told, [self.lists.lists])
        self.lists.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_broken_list_ends_the_start(self) -> None:
        """With its name and line."""
        self.deny.write_text(f"1.2.3.4\n{str(PEER)[:-1]}\n")
        self.assertIn(f"{self.deny}:2: ", str(self.assertRaises(ListError, self.lists.start)))

    def test_a_feed_is_a_list(self) -> None:
        """What was fetched denies peers, too, and a file that is not there yet denies nobody."""
        settings = self.settings(URL)
        lists = ListsInForce(self.clock, settings, self.told.append)
        (feed,) = feeds(settings)
        feed.path.parent.mkdir()
        feed.path.write_text("5.6.7.0/24\n")
        loaded = lists._files.load()
        self.assertTrue(loaded.deny(bytes([5, 6, 7, 8])))
        feed.path.unlink()
        self.assertFalse(lists._files.load().deny(bytes([5, 6, 7, 8])))

    def test_names(self) -> None:
        """Operators know a list by its path, a feed by its URL, and nobody hears the key in that."""
        lists = ListsInForce(self.clock, self.settings(f"{URL}?key=secret"), self.told.append)
        lists._files.load()
        self.assertEqual([state.name for state in lists.states][-1], URL)
        self.assertIn(str(self.deny), [state.name for state in lists.states])


class FeedTests(BuildCase):
    """`start_feeds` and `check_feeds`."""

    def test_only_where_there_are_some(self) -> None:
        """No feeds, no timer; with feeds there is one, and `stop` ends it."""
        self.assertIsNone(start_feeds(MemoryReactorClock(), self.settings()))
        reactor = MemoryReactorClock()
        fetching = start_feeds(reactor, self.settings(URL))
        assert fetching is not None
        fetching.stop()
        self.assertEqual([call for call in reactor.getDelayedCalls() if call.getTime() >= 3600], [])

    def test_https_alone(self) -> None:
        """A list of others that anybody on the way could change is refused."""
        check_feeds((URL,))
        for url in ("http://lists.example/drop.txt", "file:///etc/passwd", "lists.example", ""):
            self.assertIn("https", str(self.assertRaises(SettingsError, check_feeds, (URL, url))))
