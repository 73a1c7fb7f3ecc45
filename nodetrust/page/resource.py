"""The page for `twisted.web`: exactly its files, with headers that let it do no more than it should."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import NOT_ALLOWED, NOT_FOUND, OK
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from nodetrust.page.files import About, PageFile, PageFiles
from nodetrust.web.leaf import Leaf

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "nodetrust",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer, unless it says otherwise."""

FOR_EVER = "public, max-age=31536000, immutable"

CHUNK_BYTES = 16 * 1024
"""Written at a time: what is in flight when the last one was written fits into the connection's idle time."""


class PageResource(Leaf):
    """Answers GET and HEAD for the page's files; whatever else is asked for is not there."""

    def __init__(self, files: PageFiles, about: Callable[[], About]) -> None:
        self._files = files
        self._about = about

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        file = self._files.get(request.path.decode("latin-1").removeprefix("/"), self._about())
        if file is None:
            return answer(request, NOT_FOUND, "text/plain", b"not found\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return answer(request, NOT_ALLOWED, "text/plain", b"only GET and HEAD\n")
        return _send(request, file)


def answer(request: Request, code: int, content_type: str, body: bytes) -> bytes:
    """Set status and headers of a short answer; returns what to render."""
    request.setResponseCode(code)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    return b"" if request.method == b"HEAD" else body


def _send(request: Request, file: PageFile) -> bytes | int:
    body = file.body
    if file.zipped is not None:
        request.setHeader("Vary", "Accept-Encoding")
        if _takes_gzip(request):
            request.setHeader("Content-Encoding", "gzip")
            body = file.zipped
    if file.lasting:
        request.setHeader("Cache-Control", FOR_EVER)
    rest = answer(request, OK, file.content_type, body)
    if len(rest) <= CHUNK_BYTES:
        return rest
    _Sending(request, rest).resumeProducing()
    return NOT_DONE_YET


def _takes_gzip(request: Request) -> bool:
    """Whether gzip is among the codings of the request's header; no browser forbids it there with a weight of 0."""
    header = (request.getHeader(b"accept-encoding") or b"").decode("latin-1")
    return "gzip" in (coding.partition(";")[0].strip().lower() for coding in header.split(","))


@implementer(IPushProducer)
class _Sending:
    """Writes a body as fast as the connection takes it, and no faster."""

    def __init__(self, request: Request, body: bytes) -> None:
        self._request = request
        self._rest = memoryview(body)
        self._paused = False
        request.registerProducer(self, True)

    def resumeProducing(self) -> None:
        self._paused = False
        while self._rest and not self._paused:
            chunk, self._rest = self._rest[:CHUNK_BYTES], self._rest[CHUNK_BYTES:]
            self._request.write(bytes(chunk))
        if not self._rest and not self._paused:
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True
        self._rest = memoryview(b"")
