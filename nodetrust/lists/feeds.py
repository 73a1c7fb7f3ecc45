"""Lists of others, fetched by HTTPS on a timer and kept as files, from which `files` reads them.

A request says which version is there (RFC 9110 §13: If-None-Match, If-Modified-Since), so that an unchanged list costs
its owner nothing. What arrives is checked before it takes the old one's place. A restart needs no network: files stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treq.client import HTTPClient
from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.client import ResponseFailed, ResponseNeverReceived
from twisted.web.http import NOT_MODIFIED, OK

from nodetrust.lists.errors import ListError
from nodetrust.lists.kept import Feed, Version, keep, known_version
from nodetrust.lists.wire import MAX_LIST_BYTES, read_list

FETCH_SECONDS = 60.0
"""From the request to the last octet."""

_USER_AGENT = b"nodetrust"
_UNREACHABLE = (
    error.ConnectError,
    error.ConnectionClosed,
    error.DNSLookupError,
    error.SSLError,
    error.TimeoutError,
    defer.TimeoutError,
    ResponseFailed,
    ResponseNeverReceived,
)


class Feeds:
    """Fetches each feed at the start and every `seconds`; failures are logged, and the files stay."""

    log = Logger()

    def __init__(self, reactor: Any, client: HTTPClient, feeds: Sequence[Feed], seconds: float) -> None:
        self._reactor = reactor
        self._client = client
        self._feeds = feeds
        self._seconds = seconds
        self._timer = LoopingCall(self.fetch_all)
        self._timer.clock = reactor
        self._fetching: Deferred[None] | None = None

    def start(self) -> None:
        """Fetch now, and on the timer from now on."""
        if self._feeds:
            self._timer.start(self._seconds)

    def stop(self) -> None:
        """Fetch no more; what is under way is given up."""
        if self._timer.running:
            self._timer.stop()
        if self._fetching is not None:
            self._fetching.cancel()

    def fetch_all(self) -> Deferred[None]:
        """Fetch every feed, one after the other; never fires with a failure."""
        self._fetching = Deferred.fromCoroutine(self._fetch_all())
        return self._fetching

    async def _fetch_all(self) -> None:
        for feed in self._feeds:
            try:
                await self._fetch(feed)
            except (CancelledError, error.ConnectingCancelledError):
                return
            except ListError as refused:
                self.log.error("a feed stays as it was: {error}", error=str(refused))
            except Exception:  # a bug must not end the timer, nor keep the other feeds from being fetched
                self.log.failure("the feed {url} could not be fetched", url=feed.url)

    async def _fetch(self, feed: Feed) -> None:
        try:
            request = Deferred.fromCoroutine(self._request(feed, known_version(feed)))
            fetched = await request.addTimeout(FETCH_SECONDS, self._reactor)
        except _UNREACHABLE as reason:
            raise ListError(f"{feed.url}: {type(reason).__name__} {str(reason)[:200]}") from reason
        if fetched is None:
            self.log.debug("the feed {url} has not changed", url=feed.url)
            return
        content, version = fetched
        entries = await self._in_thread(lambda: read_list(content, feed.url, from_others=True))
        try:
            await self._in_thread(lambda: keep(feed, content, version))
        except OSError as refused:
            raise ListError(f"{feed.path}: cannot be written: {refused.strerror}") from refused
        self.log.info("the feed {url} has changed: {count} entries", url=feed.url, count=len(entries))

    async def _request(self, feed: Feed, known: Version) -> tuple[bytes, Version] | None:
        headers: dict[bytes | str, list[bytes | str]] = {b"User-Agent": [_USER_AGENT]}
        if known.etag:
            headers[b"If-None-Match"] = [known.etag.encode("utf-8")]
        if known.last_modified:
            headers[b"If-Modified-Since"] = [known.last_modified.encode("utf-8")]
        response = await self._client.get(feed.url, headers=headers, allow_redirects=False, unbuffered=True)
        if response.code == NOT_MODIFIED:
            return None
        if response.code != OK:
            raise ListError(f"{feed.url}: status {response.code}")
        content = await _body(response, feed.url)
        return content, Version(feed.url, _header(response, "ETag"), _header(response, "Last-Modified"))

    async def _in_thread(self, work: Any) -> Any:
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def _header(response: Any, name: str) -> str:
    values: list[str] = response.headers.getRawHeaders(name) or [""]
    return values[0]


async def _body(response: Any, url: str) -> bytes:
    """The whole body; more than a list may have ends the connection."""
    content = bytearray()

    def collect(piece: bytes) -> None:
        content.extend(piece)
        if len(content) > MAX_LIST_BYTES:
            raise ListError(f"{url}: larger than {MAX_LIST_BYTES} octets")

    await response.collect(collect)
    return bytes(content)
