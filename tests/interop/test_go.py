"""Our host and go-libp2p."""

from pathlib import Path
from typing import Any

from tests.interop.compliance import ComplianceTests
from tests.interop.harness import Peer


class GoTests(ComplianceTests):
    """All that any implementation must do with us."""

    agent = "nodetrust.invalid/interop/peer"  # go-libp2p announces the module that was built with it

    async def start_peer(self, *, root: Path | None = None, **options: Any) -> Peer:
        roots = {} if root is None else {"roots": str(root)}
        return await self.start_go(**roots, **options)


del ComplianceTests  # Trial would run it for its own sake
