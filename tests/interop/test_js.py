"""Our host and js-libp2p."""

from pathlib import Path
from typing import Any

from tests.interop.compliance import ComplianceTests
from tests.interop.harness import Peer


class JsTests(ComplianceTests):
    """All that any implementation must do with us."""

    agent = "js-libp2p"

    async def start_peer(self, *, root: Path | None = None, **options: Any) -> Peer:
        return await self.start_js(extra_roots=root, **options)


del ComplianceTests  # Trial would run it for its own sake
