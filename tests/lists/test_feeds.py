"""Feeds: what is asked, what is kept, and what happens to everything that is not a list."""

from pathlib import Path
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import DNSLookupError
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import NOT_FOUND, NOT_MODIFIED
from twisted.web.resource import Resource

from nodetrust.lists.feeds import FETCH_SECONDS, Feeds
from nodetrust.lists.kept import feed_in
from nodetrust.lists.wire import MAX_LIST_BYTES
from tests.dns.threads import ThreadlessClock

URL = "https://lists.example/drop.txt"


class Publisher(Resource):
    """A server that knows about conditional requests."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.content, self.etag, self.status = b"192.0.2.0/24\n", b'"one"', 200
        self.asked: list[tuple[bytes | None, bytes | None]] = []

    def render_GET(self, request: Any) -> bytes:
        known = request.getHeader(b"If-None-Match")
        self.asked.append((known, request.getHeader(b"If-Modified-Since")))
        request.setResponseCode(self.status)
        if self.status != 200:
            return b"198.51.100.0/24\n"
        if self.etag and known == self.etag:
            request.setResponseCode(NOT_MODIFIED)
            return b""
        if self.etag:
            request.setHeader(b"ETag", self.etag)
        request.setHeader(b"Last-Modified", b"Sun, 22 Nov 2026 10:00:00 GMT")
        return self.content


class FeedTests(SynchronousTestCase):
    """`Feeds`, with a publisher in memory."""

    def setUp(self) -> None:
        self.publisher, self.reactor = Publisher(), ThreadlessClock()
        self.feed = feed_in(Path(self.mktemp()), URL)
        self.client: Any = StubTreq(self.publisher)
        self.start()

    def start(self) -> None:
        self.feeds = Feeds(self.reactor, self.client, [self.feed], 3600)

    def fetch(self) -> list[str]:
        """The levels of the lines that it logs."""
        with capturedLogs() as events:
            self.successResultOf(self.feeds.fetch_all())
        return [event["log_level"].name for event in events]

    def test_conditional(self) -> None:
        """The second request says what is there, after a restart too; an unchanged list is not sent again."""
        self.assertEqual(self.fetch(), ["info"])
        self.assertEqual(self.feed.path.read_bytes(), b"192.0.2.0/24\n")
        self.start()
        self.assertEqual(self.fetch(), ["debug"])
        modified = b"Sun, 22 Nov 2026 10:00:00 GMT"
        self.assertEqual(self.publisher.asked, [(None, None), (b'"one"', modified)])
        self.publisher.content, self.publisher.etag = b"203.0.113.0/24\n", b'"two"'
        self.assertEqual(self.fetch(), ["info"])
        self.assertEqual(self.feed.path.read_bytes(), b"203.0.113.0/24\n")

    def test_without_the_list(self) -> None:
        """A version whose list is gone is asked for as if it were new."""
        self.fetch()
        self.feed.path.unlink()
        self.fetch()
        self.assertEqual(self.publisher.asked[1], (None, None))
        self.assertTrue(self.feed.path.exists())

    def test_what_is_no_list(self) -> None:
        """What cannot be used leaves the old list, and is asked for again."""
        self.fetch()
        self.publisher.etag = b""
        for content in (b"<html>Too many requests</html>", b"0.0.0.0/0\n", bytes(MAX_LIST_BYTES + 1)):
            self.publisher.content = content
            self.assertEqual(self.fetch(), ["error"])
            self.assertEqual(self.feed.path.read_bytes(), b"192.0.2.0/24\n")
        for status in (NOT_FOUND, 301, 500, 206):
            self.publisher.status = status
            self.assertEqual(self.fetch(), ["error"])
            self.assertEqual(self.feed.path.read_bytes(), b"192.0.2.0/24\n")

    def test_no_network(self) -> None:
        """Without a network the list stays, and the timer goes on."""
        self.fetch()
        self.client.get = lambda url, **options: fail(DNSLookupError("lists.example"))
        self.assertEqual(self.fetch(), ["error"])
        self.assertTrue(self.feed.path.exists())

    def test_no_answer(self) -> None:
        """A publisher that never answers is given up after a minute."""
        self.client.get = lambda url, **options: Deferred()
        done = self.feeds.fetch_all()
        self.reactor.advance(FETCH_SECONDS - 1)
        self.assertNoResult(done)
        with capturedLogs() as events:
            self.reactor.advance(2)
        self.successResultOf(done)
        self.assertEqual([event["log_level"].name for event in events], ["error"])

    def test_timer(self) -> None:
        """It fetches at the start and on the timer, until it is stopped, also in the middle of a request."""
        self.feeds.start()
        self.reactor.advance(3600)
        self.reactor.advance(3600)
        self.assertEqual(len(self.publisher.asked), 3)
        self.client.get = lambda url, **options: Deferred()
        self.reactor.advance(3600)
        with capturedLogs() as events:
            self.feeds.stop()
        self.assertEqual(list(events), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
