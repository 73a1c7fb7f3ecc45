"""Pages of two kinds on one HTTPS listener: the name that is asked for tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.web.resource import IResource
from twisted.web.server import Request
from zope.interface import implementer

from nodetrust.web.listener import Bounds


@dataclass(frozen=True, slots=True)
class Tenant:
    """Pages with names of their own, which another's listener serves as well."""

    names: frozenset[str]
    """In lower case."""
    pages: IResource
    request: type[Request]
    """What becomes of bodies, of all requests."""
    bounds: Bounds
    """Of the listener, as these pages need them."""


@implementer(IResource)
class ByHost:
    """The tenant's pages under its names (RFC 9110 §7.2), the owner's under whatever else is asked for."""

    isLeaf = True
    server = None

    def __init__(self, owners: IResource, tenant: Tenant) -> None:
        self._owners = owners
        self._tenant = tenant

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        name = request.getRequestHostname().decode("latin-1").lower()
        pages = self._tenant.pages if name in self._tenant.names else self._owners
        rendered: bytes | int = pages.render(request)
        return rendered

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """A leaf has no children, and is not asked for them."""
        raise RuntimeError("the pages are a leaf")

    def putChild(self, path: bytes, child: IResource) -> None:
        """A leaf takes no children."""
        raise RuntimeError("the pages are a leaf")
