"""Renewal with Pebble: by the CA's word (ARI, RFC 9773), and at two thirds of the life, time and again."""

import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from unittest.mock import patch

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

import nodetrust.client.renewal as client_renewal
import nodetrust.issue.renewal.windows as windows
from nodetrust.acme import ari_id
from nodetrust.acme.client import AcmeClient
from nodetrust.client.obtain import Obtained
from nodetrust.libp2p.multiaddr import Multiaddr
from tests.interop.test_end_to_end import CERTIFICATE_SECONDS, LOOK_AGAIN_SECONDS, PebbleTestCase

SOON_SECONDS = 2.0
RENEWALS = 30
RENEWAL_SECONDS = 20.0
"""At most from one certificate of seconds to the next, on a machine that is busy."""


def visit(address: Multiaddr, root_file: Path) -> x509.Certificate:
    """What a new connection is shown; raises unless it is for the name, from that root, and good now. Blocks."""
    context = ssl.create_default_context(cafile=str(root_file))
    with (
        socket.create_connection(("127.0.0.1", int(address.get("tcp") or 0)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=address.get("dns4")) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


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
        with patch.object(AcmeClient, "new_order", autospec=True, side_effect=AcmeClient.new_order) as placed:
            await roles.pebble.tell_renewal(first.chain.leaf_pem, json.dumps(window))
            while client.current is first or client.current is None or client.current.chain == first.chain:
                await deferLater(reactor, LOOK_AGAIN_SECONDS)
        self.assertEqual(placed.call_args.kwargs["replaces"], ari_id(first.chain.leaf_pem))
        self.assertNotEqual(client.current.key.public_key(), first.key.public_key())
        second = client.current.chain
        await deferLater(reactor, 4 * SOON_SECONDS)
        self.assertEqual(client.current.chain, second)  # for which Pebble has a window like any CA


class SecondsTests(PebbleTestCase):
    """Certificates that live for seconds, from an issue server that counts no orders."""

    timeout = 600

    async def test_thirty_in_a_row(self) -> None:
        """Each is shown to whoever comes then; one connection of js-libp2p's stays open over all of them."""
        roles = await self.start_roles(acme_profile="seconds", orders_per_peer=0, orders_per_address=0)
        client = await roles.start_client()
        taken: list[Obtained] = []
        client.on_certificate(taken.append)
        await client.announced().addTimeout(CERTIFICATE_SECONDS, reactor)
        assert client.host is not None
        address, us = client.addresses[0], str(client.host.peer_id)
        js = await self.start_js(extra_roots=roles.root_file, nameServer=str(roles.name_server))
        await self.next_of(taken)  # on a slow machine a certificate is over before there is another one
        await js.command("dial", addr=str(address))
        for _ in range(RENEWALS):
            await self.next_of(taken)
            shown = await deferToThread(visit, address, roles.root_file)
            self.assertEqual(shown, taken[-1].chain.leaf)
            await js.command("ping", peer=us)  # over the connection that there is, or not at all
        self.assertEqual(len((await js.command("connections"))["connections"]), 1)
        self.assertEqual(len({one.chain.leaf.serial_number for one in taken}), len(taken))

    async def next_of(self, taken: list[Obtained]) -> None:
        """Return when there is another one."""
        before, began = len(taken), monotonic()
        while len(taken) == before:
            self.assertLess(monotonic() - began, RENEWAL_SECONDS, f"after {before} certificates")
            await deferLater(reactor, LOOK_AGAIN_SECONDS)
