"""Pages of two kinds on one HTTPS listener: the name that is asked for tells them apart (RFC 9110 §7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.web.http import BAD_REQUEST
from twisted.web.resource import IResource
from twisted.web.server import Request

from nodetrust.peer_auth import without_port
from nodetrust.web.leaf import Leaf
from nodetrust.web.listener import Bounds


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """Pages with names of their own, which another's listener serves besides its own."""

    names: frozenset[str]
    """In lower case."""
    pages: IResource
    request: type[Request]
    """What becomes of bodies, of all requests."""
    bounds: Bounds
    """Of the listener, as these pages need them."""


class ByHost(Leaf):
    """The virtual host's pages under its names, `others` under whatever else is asked for.

    A request without `Host`, or with several, is answered 400 (RFC 9112 §3.2); HTTP/1.0 needs none.
    """

    def __init__(self, others: IResource, virtual_host: VirtualHost) -> None:
        self._others = others
        self._virtual_host = virtual_host

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and request.clientproto != b"HTTP/1.0"):
            request.setResponseCode(BAD_REQUEST)
            request.setHeader("Content-Length", "0")
            return b""
        name = without_port(hosts[0].decode("latin-1")).lower() if hosts else ""
        pages = self._virtual_host.pages if name in self._virtual_host.names else self._others
        rendered: bytes | int = pages.render(request)
        return rendered
