"""What all our pages are to `twisted.web`: resources without children, which are given whole paths."""

from __future__ import annotations

from twisted.web.resource import IResource
from twisted.web.server import Request
from zope.interface import implementer


@implementer(IResource)
class Leaf:
    """A subclass defines `render`, for every path and method."""

    isLeaf = True
    server = None

    def render(self, request: Request) -> bytes | int:
        """Answer a request: the body, or `NOT_DONE_YET`."""
        raise NotImplementedError

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """A leaf has no children, and is not asked for them."""
        raise RuntimeError("a leaf has no children")

    def putChild(self, path: bytes, child: IResource) -> None:
        """A leaf takes no children."""
        raise RuntimeError("a leaf takes no children")
