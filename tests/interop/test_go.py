"""Our host and go-libp2p."""

from typing import Any

from tests.interop.compliance import ComplianceTests
from tests.interop.harness import Peer


class GoTests(ComplianceTests):
    """All that any implementation must do with us."""

    agent = "nodetrust.invalid/interop/peer"  # go-libp2p announces the module that was built with it

    async def start_peer(self, **options: Any) -> Peer:
        return await self.start_go(**options)


del ComplianceTests  # Trial would run it for its own sake
