"""The client over loopback: proofs, certificates, renewals, announcements, and an end at any time."""

import os
import socket
import ssl
from datetime import timedelta
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from cryptography import x509
from msgspec.structs import replace
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

import nodetrust.client.prove as proving
from nodetrust.client.client import Client
from nodetrust.client.errors import AlreadyStarted, IssuerUnreachable, NoProofs, Refused
from nodetrust.client.files import FULL_CHAIN_FILE
from nodetrust.client.settings import ClientSettings
from nodetrust.command.deployment import LOOPBACK, WSS, ZONE, full_addresses
from nodetrust.issue.service import IssueService
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.messages import E_OTHER, ISSUE_INFO_PROTOCOL, OK, PROOF_PROTOCOL, IssueInfo, ProofResponse
from nodetrust.names import label_for_peer, name_for_address
from nodetrust.proofs import make_proof
from nodetrust.service import dial_options
from nodetrust.settings import SettingsError
from nodetrust.testing.ca import CASettings
from tests import servers as support
from tests.servers import LOOPBACK_NAME, Servers, ServersTestCase, reactor


def served_certificate(address: Multiaddr) -> x509.Certificate:
    """The certificate that a new TLS connection is shown. Blocks."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", int(address.get("tcp") or 0)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=address.get("dns4")) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


class CertificateTests(ServersTestCase):
    """From a start to a certificate that is served."""

    async def test_announces_the_proven_address(self) -> None:
        """The address has the certified name, the real port and the peer ID; identify tells the plain one, too."""
        servers = await self.start()
        client = await self.client(servers)
        await client.announced()
        assert client.host is not None
        plain, wss = client.host.addresses()
        self.assertRegex(str(plain), r"^/ip4/127\.0\.0\.1/tcp/\d+$")
        self.assertRegex(str(wss), rf"^/dns4/{LOOPBACK_NAME}/tcp/\d+/tls/ws$")
        self.assertEqual(client.addresses, (wss.with_peer_id(client.host.peer_id),))
        self.assertEqual(client.names, (LOOPBACK_NAME,))

    async def test_names_below_the_peer(self) -> None:
        """With a wildcard the announced name is below the peer's, and a visitor dials it with verified TLS."""
        servers = await self.start(issue={"names": "both"}, client={"names": "peer"})
        await servers.start_client(lambda step: None)
        visit = await servers.visit()
        assert servers.client.host is not None
        expected = f"ip4127-0-0-1.{label_for_peer(servers.client.host.peer_id)}.nodetrust.test"
        self.assertEqual(visit.address.get("dns4"), expected)

    async def test_names_that_are_not_given(self) -> None:
        """A client that asks for more than the server gives is told so, and goes on asking."""
        servers = await self.start(client={"names": "peer"})
        client = await self.client(servers)
        error = await self.assertFailure(client.certificate(), Refused)
        self.assertIn("not given here", str(error))

    async def test_a_restart_uses_the_stored_certificate(self) -> None:
        """No new order, and the same addresses but for the port."""
        servers = await self.start()
        first = await self.client(servers)
        before = await first.certificate()
        await first.stop()
        second = await self.client(servers)
        self.assertIsNotNone(second.current)  # without asking anybody
        after = await second.certificate()
        self.assertEqual((after.chain, after.addresses), (before.chain, before.addresses))
        self.assertTrue(await second.announced())
        self.assertEqual(servers.orders, 1)

    async def test_the_hook_finds_the_files(self) -> None:
        """Wherever it goes, though the folder was named as seen from here."""
        servers = await self.start()
        copy, state = servers.folder / "copy.pem", servers.folder / "client"
        hook = f'cd / && cp "$NODETRUST_FOLDER/{FULL_CHAIN_FILE}" {copy}'
        servers.changes["client"] = {"state": Path(os.path.relpath(state)), "hook": hook}
        client = await self.client(servers)
        obtained = await client.certificate()
        assert client._presence is not None
        while client._presence._hook._process is not None:
            await deferLater(reactor, 0.02)
        self.assertEqual(copy.read_bytes(), obtained.chain.full_pem)

    async def test_a_restart_where_the_addresses_are_others(self) -> None:
        """The issue server tells where the peer is now; a certificate that has that name already needs no order."""
        servers = await self.start()
        first = await self.client(servers)
        await first.certificate()
        await first.stop()
        proven = servers.client_settings().state / "addresses.txt"
        proven.write_text("192.0.2.7\n")
        second = await self.client(servers)
        self.assertEqual(second.addresses, ())
        await second.announced()
        self.assertEqual(second.addresses[0].get("dns4"), LOOPBACK_NAME)
        self.assertEqual(proven.read_text(), "127.0.0.1\n")
        self.assertEqual(servers.orders, 1)

    async def test_a_move(self) -> None:
        """A client that the issue server sees at a new address has it proven, and gets a certificate for it."""
        servers = await self.start()
        first = await self.client(servers)
        await first.certificate()
        await first.stop()
        issuer, proof = servers.issue.host, servers.proof.host
        assert issuer is not None and proof is not None
        at_six = await issuer.listen(Multiaddr.parse("/ip6/::1/tcp/0"))
        there = await proof.listen(Multiaddr.parse("/ip6/::1/tcp/0"))
        await servers.issue.stop()
        servers.changes["issue"] = {"listen": (at_six,), "proof_servers": (there.with_peer_id(proof.peer_id),)}
        servers.issue = IssueService(reactor, servers.issue_settings())
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.issue.stop()))
        await servers.issue.start()
        servers.changes["client"]["wss_listen"] = (Multiaddr.parse("/ip6/::1/tcp/0/tls/ws"),)
        second = await self.client(servers)
        await second.announced()
        assert second.current is not None
        self.assertEqual(second.addresses[0].get("dns6"), name_for_address(IPv6Address("::1"), ZONE))
        self.assertIn(second.addresses[0].get("dns6"), second.current.chain.names)
        self.assertEqual(servers.orders, 2)

    async def test_proves_both_families(self) -> None:
        """A proof server with IPv4 and IPv6 gives a proof of each, over connections of which one is left."""
        servers = await self.start(issue={})
        proof = servers.proof.host
        assert proof is not None
        await proof.listen(Multiaddr.parse("/ip6/::1/tcp/0"))
        await servers.issue.stop()
        servers.issue = IssueService(reactor, servers.issue_settings())
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.issue.stop()))
        await servers.issue.start()
        client = await self.client(servers)
        obtained = await client.certificate()
        assert client.host is not None
        self.assertEqual(set(obtained.addresses), {support.LOOPBACK, IPv6Address("::1")})
        self.assertEqual(len(client.host.connections(proof.peer_id)), 1)

    async def test_a_stored_certificate_that_cannot_be_read(self) -> None:
        """It is replaced."""
        servers = await self.start()
        state = servers.client_settings().state
        state.mkdir(parents=True)
        for name in ("key.pem", "fullchain.pem", "addresses.txt"):
            (state / name).write_text("garbage")
        client = await self.client(servers)
        await client.certificate()
        self.assertEqual(servers.orders, 1)

    async def test_a_renewal_drops_nobody(self) -> None:
        """New connections are shown the renewed certificate; one that is open lives on."""
        life = CASettings(profiles={"default": timedelta(seconds=6)})
        servers = await self.start(life)
        client = await self.client(servers)
        first = await client.certificate()
        host = await self.visitor(servers)
        connection = await host.connect(await client.announced())
        shown = await deferToThread(served_certificate, client.addresses[0])
        self.assertEqual(shown, first.chain.leaf)
        while client.current is first:
            await deferLater(reactor, 0.1)
        assert client.current is not None
        shown = await deferToThread(served_certificate, client.addresses[0])
        self.assertEqual(shown, client.current.chain.leaf)
        self.assertNotEqual(shown, first.chain.leaf)
        await ping(connection, bytes(PING_BYTES), reactor)
        self.assertEqual(len(host.connections()), 1)

    async def visitor(self, servers: Servers) -> Host:
        options = dial_options(reactor, servers.dns_place, servers.ca.root_pem_path)
        host = Host(reactor, PrivateKey.generate(), **options)
        self.addCleanup(host.stop)
        return host


class ProofServerTests(ServersTestCase):
    """Proof servers that do not do what they should."""

    async def proof_server(self, respond: Any) -> Multiaddr:
        """A host that answers 1.0.0 in its own way."""
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)

        async def serve(stream: MessageStream) -> None:
            await respond(host, stream)

        host.handle_messages(PROOF_PROTOCOL, serve, 100, 5.0)
        await host.listen(LOOPBACK[0])
        return full_addresses(host)[0]

    async def bad_servers(self) -> list[Multiaddr]:
        """One that is not there, one that refuses, one that talks nonsense, one that lies, one that hangs."""

        async def refuse(host: Host, stream: MessageStream) -> None:
            stream.write(ProofResponse(error=E_OTHER, message="not\x1b[31m today").SerializeToString())

        async def babble(host: Host, stream: MessageStream) -> None:
            stream.write(b"\xff\xff")

        async def lie(host: Host, stream: MessageStream) -> None:
            wrapper = make_proof(host.key, host.peer_id, [support.LOOPBACK], int(reactor.seconds() * 1000))
            stream.write(ProofResponse(error=OK, proof=wrapper).SerializeToString())

        async def hang(host: Host, stream: MessageStream) -> None:
            await stream.read()

        nowhere = Multiaddr.parse("/ip4/127.0.0.1/tcp/1").with_peer_id(PrivateKey.generate().peer_id)
        return [nowhere, *[await self.proof_server(respond) for respond in (refuse, babble, lie, hang)]]

    async def test_bad_proof_servers_are_left_out(self) -> None:
        """One good one among them is enough."""
        self.patch(proving, "PROOF_SECONDS", 3.0)
        bad = await self.bad_servers()
        servers = await self.start(issue={"proof_servers": tuple(bad)})
        await servers.issue.stop()
        servers.changes["issue"]["proof_servers"] = (*bad, *full_addresses(servers.proof.host))
        servers.issue = IssueService(reactor, servers.issue_settings())
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.issue.stop()))
        await servers.issue.start()
        client = await self.client(servers)
        obtained = await client.certificate()
        self.assertEqual(obtained.addresses, (support.LOOPBACK,))

    async def test_none_at_all_is_an_error(self) -> None:
        """It names each server's reason, in words that a terminal can show."""
        self.patch(proving, "PROOF_SECONDS", 3.0)
        bad = await self.bad_servers()
        servers = await self.start(issue={"proof_servers": tuple(bad)})
        client = await self.client(servers)
        error = str(await self.assertFailure(client.certificate(), NoProofs))
        for address in bad:
            self.assertIn(f"; {address.peer_id}: ", error)
        for reason in ("not [31m today", "another peer", "no answer within 3 seconds"):
            self.assertIn(reason, error)


class BadIssuerTests(ServersTestCase):
    """An issue server that is not there, or that talks nonsense: the client says so, and goes on asking."""

    def client_of(self, issuer: Multiaddr) -> Client:
        settings = ClientSettings(
            state=Path(self.mktemp()).absolute(), listen=LOOPBACK, wss_listen=WSS, issuer=(issuer,)
        )
        client = Client(reactor, settings)
        self.addCleanup(client.stop)
        return client

    async def issuer(self, info: bytes) -> Multiaddr:
        """A host that gives this information."""
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)

        async def inform(stream: MessageStream) -> None:
            stream.write(info)

        host.handle_messages(ISSUE_INFO_PROTOCOL, inform, 100, 5.0)
        await host.listen(LOOPBACK[0])
        return full_addresses(host)[0]

    async def test_nobody_there(self) -> None:
        """A port on which nobody listens."""
        client = self.client_of(Multiaddr.parse("/ip4/127.0.0.1/tcp/1").with_peer_id(PrivateKey.generate().peer_id))
        await client.start()
        await self.assertFailure(client.certificate(), IssuerUnreachable)
        await self.assertFailure(client.certificate(), IssuerUnreachable)  # whoever asks later is told as well

    async def test_nonsense(self) -> None:
        """Bytes that are no message, and a zone that is none."""
        for info in (b"\xff", IssueInfo(domain="not a zone").SerializeToString()):
            client = self.client_of(await self.issuer(info))
            await client.start()
            await self.assertFailure(client.certificate(), IssuerUnreachable)

    async def test_a_wss_port_that_is_taken(self) -> None:
        """The start fails, and says at which setting."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            client = self.client_of(await self.issuer(b""))
            client.settings = replace(
                client.settings, wss_listen=(Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{port}/tls/ws"),)
            )
            with self.assertRaises(SettingsError) as refused:
                await client.start()
        self.assertIn(
            f"wss_listen: expected an address that can be listened on, got /ip4/127.0.0.1/tcp/{port}",
            str(refused.exception),
        )

    async def test_a_state_folder_that_another_client_uses(self) -> None:
        """The start fails, and says so; when the other has stopped, it does not."""
        first = self.client_of(await self.issuer(b""))
        await first.start()
        second, third = Client(reactor, first.settings), Client(reactor, first.settings)
        with self.assertRaises(SettingsError) as refused:
            await second.start()
        self.assertIn(f"another one uses {first.settings.state}", str(refused.exception))
        await second.stop()
        await first.stop()
        await third.start()
        await third.stop()

    async def test_tls_before_the_certificate(self) -> None:
        """A handshake fails; the listener goes on."""
        client = self.client_of(Multiaddr.parse("/ip4/127.0.0.1/tcp/1").with_peer_id(PrivateKey.generate().peer_id))
        await client.start()
        address = client._presence.edge.listening[0]
        for _ in range(2):
            await self.assertFailure(deferToThread(served_certificate, address), OSError)


class StopTests(ServersTestCase):
    """A client that is stopped in the middle of something: Trial sees what is left running, or logged."""

    async def test_at_any_time(self) -> None:
        """From before the first dial to well after the first announcement."""
        servers = await self.start(CASettings(retry_after_seconds=1))
        for hundredths in (0, 1, 2, 4, 6, 8, 12, 20, 40):
            servers.changes["client"]["state"] = servers.folder / f"client-{hundredths}"
            client = await self.client(servers)
            waiting = client.certificate()
            waiting.addErrback(lambda failure: failure.trap(defer.CancelledError) and None)
            await deferLater(reactor, hundredths / 100)
            begun = reactor.seconds()
            await client.stop()
            self.assertLess(reactor.seconds() - begun, 2.0)
            self.assertTrue(waiting.called)

    async def test_who_waits(self) -> None:
        """Nobody waits for what will not come, before the stop or after it."""
        servers = await self.start()
        client = Client(reactor, servers.client_settings())
        waiting = client.announced()
        await client.stop()
        await self.assertFailure(waiting, defer.CancelledError)
        await self.assertFailure(client.certificate(), defer.CancelledError)
        await self.assertFailure(client.announced(), defer.CancelledError)

    async def test_starts_once(self) -> None:
        """A second start is refused, and what the first one has opened is closed by the stop; so is one after it."""
        servers = await self.start()
        client = await self.client(servers)
        host = client.host
        await self.assertFailure(client.start(), AlreadyStarted)
        self.assertIs(client.host, host)
        await client.stop()
        await self.assertFailure(client.start(), AlreadyStarted)

    async def test_while_it_asks_for_proofs(self) -> None:
        """A proof server that hangs does not hold it up."""

        async def hang(stream: MessageStream) -> None:
            asked.callback(None)
            await stream.read()

        asked: Deferred[None] = Deferred()
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        host.handle_messages(PROOF_PROTOCOL, hang, 100, 30.0)
        await host.listen(LOOPBACK[0])
        servers = await self.start(issue={"proof_servers": tuple(full_addresses(host))})
        client = await self.client(servers)
        waiting = self.assertFailure(client.certificate(), defer.CancelledError)
        await asked
        await client.stop()
        await waiting
