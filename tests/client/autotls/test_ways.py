"""A client that has an issue server and a broker."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from nodetrust.client.autotls.errors import BrokerUnreachable, NoPlaces
from nodetrust.client.client import Client
from nodetrust.client.errors import IssuerUnreachable, NoIssuer
from nodetrust.libp2p.keys import PrivateKey

ISSUER = f"/ip4/127.0.0.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"
BROKER = "https://127.0.0.1:1"


class PreferenceTests(TestCase):
    """Nobody is there, so that both are tried."""

    timeout = 120

    async def reasons(self, **settings: Any) -> list[type[Exception]]:
        client = Client(
            reactor,
            issuer=ISSUER,
            broker=BROKER,
            state=Path(self.mktemp()),
            listen="/ip4/127.0.0.1/tcp/0",
            wss_listen="/ip4/127.0.0.1/tcp/0/tls/ws",
            map_ports=False,
            **settings,
        )
        self.addCleanup(client.stop)
        await client.start()
        error = await self.assertFailure(client.certificate(), NoIssuer)
        assert isinstance(error, NoIssuer)
        return list(map(type, error.reasons))

    async def test_the_issue_server_first(self) -> None:
        """If nothing else is said."""
        self.assertEqual(await self.reasons(allow_private=True), [IssuerUnreachable, BrokerUnreachable])

    async def test_the_broker_first(self) -> None:
        """If it is preferred."""
        found = await self.reasons(allow_private=True, prefer="autotls")
        self.assertEqual(found, [BrokerUnreachable, IssuerUnreachable])

    async def test_no_public_address(self) -> None:
        """Then the broker is not bothered."""
        self.assertEqual(await self.reasons(), [IssuerUnreachable, NoPlaces])
