"""Certificates over loopback: the store, clients of 2018, identical requests, and restarts."""

import threading

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from nodetrust.certificates import make_key
from nodetrust.client.prove import ask_info
from nodetrust.command.deployment import full_addresses
from nodetrust.issue.orders import upkeep
from nodetrust.issue.service import IssueService
from nodetrust.messages import E_OTHER, ECDSA_P256, OK, RSA, IssueResponse
from nodetrust.store import StoreError
from tests.servers import LOOPBACK_NAME, Peer, Servers, ServersTestCase, reactor


class IssuingTests(ServersTestCase):
    """A peer that asks for certificates."""

    async def asked(self, peer: Peer, **changes: object) -> IssueResponse:
        response = await peer.ask(peer.request(**changes))
        self.assertEqual(response.error, OK, response.message)
        return response

    async def test_the_same_again_comes_from_the_store(self) -> None:
        """Same peer, names and key: no new order. Another key, other names or another peer: one each."""
        servers = await self.start()
        peer, other = await self.connected_peer(servers), await self.connected_peer(servers)
        first = await self.asked(peer)
        again = await self.asked(peer)
        self.assertEqual((first.fromCache, again.fromCache, again.chain), (False, True, first.chain))
        self.assertEqual((servers.orders, servers.stored_certificates()), (1, 1))
        self.assertFalse((await self.asked(peer, names=[LOOPBACK_NAME])).fromCache)
        peer.key = other.key = make_key(ECDSA_P256)
        self.assertFalse((await self.asked(peer)).fromCache)
        self.assertFalse((await self.asked(other)).fromCache)
        self.assertEqual(servers.orders, 4)

    async def test_when_to_renew(self) -> None:
        """The answer and the issue info say the same: in the last third of the certificate's life."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        self.assertFalse((await ask_info(peer.host, full_addresses(servers.issue.host))).HasField("renewAt"))
        response = await self.asked(peer)
        leaf, *_ = x509.load_pem_x509_certificates(response.chain)
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        left = leaf.not_valid_after_utc.timestamp() - response.renewAt / 1000
        self.assertTrue(0.29 < left / life.total_seconds() < 0.34, left)
        info = await ask_info(peer.host, full_addresses(servers.issue.host))
        self.assertEqual(info.renewAt, response.renewAt)

    async def test_clients_of_2018(self) -> None:
        """Without a CSR they get a key that fits, of an algorithm they know; a second time a new one."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        keys = set()
        for cryptos, expected in (([RSA], RSA), ([RSA, ECDSA_P256], ECDSA_P256), ([RSA], RSA)):
            response = await self.asked(peer, csr=None, supportedCryptos=cryptos)
            self.assertEqual((response.cryptoType, response.fromCache, response.cn), (expected, False, peer.own_name))
            self.assertEqual(set(response.altnames), {LOOPBACK_NAME, peer.own_name})
            leaf, *_ = x509.load_pem_x509_certificates(response.chain)
            key = load_pem_private_key(response.key, None)
            self.assertEqual(leaf.public_key(), key.public_key())
            self.assertEqual(response.chain, response.cert + response.ca)
            self.assertEqual(response.validity, int(leaf.not_valid_after_utc.timestamp() * 1000))
            keys.add(response.key)
        self.assertEqual((len(keys), servers.orders), (3, 3))
        store = (servers.folder / "issue" / "store.sqlite").read_bytes()
        for key_pem in keys:  # the key was sent once, and forgotten
            self.assertNotIn(key_pem.splitlines()[1], store)

    async def test_identical_requests_make_one_order(self) -> None:
        """Two at the same time, with a CSR or without, get the same certificate from one order."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        for orders, request in enumerate((peer.request(), peer.request(csr=None)), 1):
            both = await gatherResults([Deferred.fromCoroutine(peer.ask(request)) for _ in range(2)])
            self.assertEqual([response.error for response in both], [OK, OK])
            self.assertEqual(both[0].chain, both[1].chain)
            self.assertEqual(servers.orders, orders)

    async def test_a_restart_forgets_nothing(self) -> None:
        """The account at the CA and the certificates outlive the issue server."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        first = await self.asked(peer)
        await self.restart(servers)
        await peer.connect()
        again = await self.asked(peer)
        self.assertEqual((again.fromCache, again.chain), (True, first.chain))
        peer.key = make_key(ECDSA_P256)
        self.assertFalse((await self.asked(peer)).fromCache)
        self.assertEqual((servers.orders, servers.accounts), (2, 1))

    async def test_a_store_that_fails(self) -> None:
        """A certificate that the CA has counted is handed over although it cannot be kept, and kept when it can be."""
        self.patch(upkeep, "BEAT_SECONDS", 0.2)
        servers = await self.start()
        peer = await self.connected_peer(servers)
        store = servers.issue.store
        assert store is not None

        async def fail(*_: object) -> None:
            raise StoreError("the disk is full")

        failing = self.patch(store, "settle_order", fail)
        first = await self.asked(peer)
        again = await self.asked(peer)
        self.assertEqual((first.fromCache, again.fromCache, again.chain), (False, True, first.chain))
        self.assertEqual(servers.stored_certificates(), 0)
        failing.restore()
        while not servers.stored_certificates():
            await deferLater(reactor, 0.05)
        self.assertEqual((await self.asked(peer)).chain, first.chain)
        self.assertEqual(servers.orders, 1)

    async def test_a_store_that_is_away(self) -> None:
        """The peer is told, the CA is not asked; when the store is back, work goes on."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        store = servers.issue.store
        assert store is not None

        async def fail(*_: object, **__: object) -> None:
            raise StoreError("the store sqlite:////secret/place failed: the disk is full")

        for method in ("newest_certificate", "open_order", "note_placing"):
            failing = self.patch(store, method, fail)
            response = await peer.ask(peer.request())
            self.assertEqual((response.error, servers.orders), (E_OTHER, 0))
            self.assertIn("database is out of order", response.message)
            self.assertNotIn("secret", response.message)
            failing.restore()
        response = await peer.ask(peer.request())  # the row was there: it is tried again, but not at once
        self.assertEqual(response.error, E_OTHER)
        self.assertApproximates(response.retryAfter, 10, 2)
        peer.key = make_key(ECDSA_P256)
        await self.asked(peer)

    async def test_a_bug_in_an_order(self) -> None:
        """The peer gets an answer, the log the traceback, and the next request is served."""
        servers = await self.start()
        peer = await self.connected_peer(servers)
        assert servers.issue.store is not None

        async def break_down(*_: object) -> None:
            raise ZeroDivisionError

        broken = self.patch(servers.issue.store, "newest_for_names", break_down)
        response = await peer.ask(peer.request())
        self.assertEqual((response.error, "its log says how" in response.message), (E_OTHER, True))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        broken.restore()
        await self.asked(peer)

    async def test_a_start_that_is_stopped(self) -> None:
        """Nothing is left of it: no thread of the store, no port."""
        servers = await self.start()
        settings = replace(servers.issue_settings(), state=servers.folder / "second")
        service = IssueService(reactor, settings)
        service.startService()
        await service.stopService()
        await servers.issue.stop()
        while [thread.name for thread in threading.enumerate() if "store" in thread.name]:
            await deferLater(reactor, 0.05)

    async def restart(self, servers: Servers) -> None:
        await servers.issue.stop()
        servers.issue = IssueService(reactor, servers.issue_settings())
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.issue.stop()))
        await servers.issue.start()
