"""`twistd nodetrust-client`: a client as a process of its own."""

from __future__ import annotations

from typing import Any

from nodetrust.client.client import Client
from nodetrust.client.settings import ClientSettings
from nodetrust.service import RoleService


class ClientService(RoleService):
    """A client, from the start of the process to its end."""

    name = "nodetrust-client"

    def __init__(self, reactor: Any, settings: ClientSettings) -> None:
        super().__init__(reactor)
        self.client = Client(reactor, settings)

    async def start(self) -> None:
        """Listen; the certificate comes when it comes."""
        await self.client.start()

    async def stop(self) -> None:
        """Close everything."""
        await self.client.stop()
