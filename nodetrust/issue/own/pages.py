"""The two pages of the HTTPS listener: what this is, and how it is."""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_ALLOWED, NOT_FOUND, OK, SERVICE_UNAVAILABLE
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from nodetrust.libp2p.limits import Limits
from nodetrust.web.listener import Bounds

BOUNDS = Bounds(Limits(handshakes=128, connections_per_network=8), connection_seconds=30.0)
"""A browser just opens another connection."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Report = Callable[[], Awaitable[dict[str, Any]]]


class BodilessRequest(Request):
    """No page takes a body: whoever sends one loses the connection."""

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        if self.channel is not None:
            self.channel.forceAbortClient()


@implementer(IResource)
class Pages:
    """`/` and `/health`; whatever else is asked for is not there."""

    log = Logger()
    isLeaf = True
    server = None

    def __init__(self, page: Callable[[], str], report: Report) -> None:
        self._page = page
        self._report = report

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        request.setHeader("Server", "nodetrust")
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        if request.path not in (b"/", b"/health"):
            return _text(request, NOT_FOUND, "not found\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return _text(request, NOT_ALLOWED, "only GET and HEAD\n")
        if request.path == b"/":
            return _body(request, OK, "text/html; charset=utf-8", self._page())
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        Deferred.fromCoroutine(self._tell(request, gone)).addErrback(self._failed, request, gone)
        return NOT_DONE_YET

    async def _tell(self, request: Request, gone: list[Failure]) -> None:
        report = await self._report()
        if not gone:
            text = json.dumps(report, indent=1) + "\n"
            request.write(_body(request, OK if report["ok"] else SERVICE_UNAVAILABLE, "application/json", text))
            request.finish()

    def _failed(self, failure: Failure, request: Request, gone: list[Failure]) -> None:
        self.log.failure("the health page has failed, which is a bug", failure=failure)
        if not gone:
            request.write(_text(request, INTERNAL_SERVER_ERROR, "out of order\n"))
            request.finish()

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """A leaf has no children, and is not asked for them."""
        raise RuntimeError("the pages are a leaf")

    def putChild(self, path: bytes, child: IResource) -> None:
        """A leaf takes no children."""
        raise RuntimeError("the pages are a leaf")


def home_page(zone: str, peer: str, addresses: Sequence[str]) -> str:
    """What a person sees who opens the server's name in a browser."""
    items = "".join(f"<li><code>{html.escape(address)}</code></li>\n" for address in addresses)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>nodetrust</title></head>\n<body>\n'
        f"<h1>nodetrust issue server for {html.escape(zone)}</h1>\n"
        "<p>libp2p nodes that prove their address get a name and a certificate here, so that browsers can dial "
        "them.</p>\n"
        f"<p>Peer ID: <code>{html.escape(peer)}</code></p>\n<p>Addresses:</p>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
    )


def _text(request: Request, code: int, text: str) -> bytes:
    return _body(request, code, "text/plain; charset=utf-8", text)


def _body(request: Request, code: int, kind: str, text: str) -> bytes:
    body = text.encode()
    request.setResponseCode(code)
    request.setHeader("Content-Type", kind)
    request.setHeader("Content-Length", str(len(body)))
    return b"" if request.method == b"HEAD" else body
