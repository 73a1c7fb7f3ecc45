"""nodetrust: names and certificates for libp2p nodes that prove their address.

For programs: `Client`, and `AsyncioClient` where asyncio runs the program; `examples/` in the source tree has both.
ARCHITECTURE.md there is the map of this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodetrust.client.client import Client
    from nodetrust.client.on_asyncio import AsyncioClient

__all__ = ["AsyncioClient", "Client"]

__version__ = "0.1.0"

_PLACES = {"Client": "nodetrust.client.client", "AsyncioClient": "nodetrust.client.on_asyncio"}


def __getattr__(name: str) -> Any:
    """The public names, when they are asked for: every module below would import them else."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
