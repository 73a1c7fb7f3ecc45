"""What the HTTPS listener answers: the page, and how the server is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_ALLOWED, OK, SERVICE_UNAVAILABLE
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request

from nodetrust.libp2p.limits import Limits
from nodetrust.page import HEADERS, answer
from nodetrust.web.leaf import Leaf
from nodetrust.web.listener import Bounds

BOUNDS = Bounds(Limits(handshakes=128, connections_per_network=24), connection_seconds=30.0)
"""A browser opens up to six connections for a page, and another one where one is over; several people may be behind one
address. The page's script, 156 kB compressed, comes in that time over any line of 50 kbit/s."""

Report = Callable[[], Awaitable[dict[str, Any]]]


class BodilessRequest(Request):
    """No page takes a body: whoever sends one loses the connection."""

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        if self.channel is not None:
            self.channel.forceAbortClient()


class Pages(Leaf):
    """`/health`; whatever else is asked for is the page's."""

    log = Logger()

    def __init__(self, page: IResource, report: Report) -> None:
        self._page = page
        self._report = report

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        if request.path != b"/health":
            rendered: bytes | int = self._page.render(request)
            return rendered
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return _text(request, NOT_ALLOWED, "only GET and HEAD\n")
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        Deferred.fromCoroutine(self._tell(request, gone)).addErrback(self._failed, request, gone)
        return NOT_DONE_YET

    async def _tell(self, request: Request, gone: list[Failure]) -> None:
        report = await self._report()
        if not gone:
            text = json.dumps(report, indent=1) + "\n"
            status = OK if report["ok"] else SERVICE_UNAVAILABLE
            request.write(answer(request, status, "application/json", text.encode()))
            request.finish()

    def _failed(self, failure: Failure, request: Request, gone: list[Failure]) -> None:
        self.log.failure("the health page has failed, which is a bug", failure=failure)
        if not gone:
            request.write(_text(request, INTERNAL_SERVER_ERROR, "out of order\n"))
            request.finish()


def _text(request: Request, code: int, text: str) -> bytes:
    return answer(request, code, "text/plain; charset=utf-8", text.encode())
