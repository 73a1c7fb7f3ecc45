"""Renewal by the CA's word (ARI, RFC 9773), with Pebble: it says now, and the client has another certificate."""

import json
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.task import deferLater

import nodetrust.client.renewal as client_renewal
import nodetrust.issue.renewal.windows as windows
from nodetrust.acme import ari_id
from nodetrust.acme.client import AcmeClient
from tests.interop.test_end_to_end import CERTIFICATE_SECONDS, LOOK_AGAIN_SECONDS, PebbleTestCase

SOON_SECONDS = 2.0


class RenewalTests(PebbleTestCase):
    """A client and an issue server that ask every few seconds, not hours."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(windows, "IDLE_SECONDS", SOON_SECONDS)
        self.patch(client_renewal, "REST_SECONDS", SOON_SECONDS)

    async def test_now(self) -> None:
        """A window in the past: the certificate of ninety days is replaced, and the order says that it is."""
        roles = await self.start_roles()
        client = await roles.start_client(check_seconds=SOON_SECONDS)
        first = await client.certificate().addTimeout(CERTIFICATE_SECONDS, reactor)
        now = datetime.now(UTC)
        start, end = ((now - timedelta(hours=hours)).isoformat(timespec="seconds") for hours in (2, 1))
        window = {"suggestedWindow": {"start": start, "end": end}}
        await roles.pebble.tell_renewal(first.chain.leaf_pem, json.dumps(window))
        with patch.object(AcmeClient, "new_order", autospec=True, side_effect=AcmeClient.new_order) as placed:
            while client.current is first or client.current is None or client.current.chain == first.chain:
                await deferLater(reactor, LOOK_AGAIN_SECONDS)
        self.assertEqual(placed.call_args.kwargs["replaces"], ari_id(first.chain.leaf_pem))
        self.assertNotEqual(client.current.key.public_key(), first.key.public_key())
        second = client.current.chain
        await deferLater(reactor, 4 * SOON_SECONDS)
        self.assertEqual(client.current.chain, second)  # for which Pebble has a window like any CA
