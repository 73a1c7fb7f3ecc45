"""The main job with nobody's stand-in: Pebble signs, js-libp2p and go-libp2p dial what was signed."""

import json
import os
import sys
from base64 import b64decode
from pathlib import Path
from ssl import get_server_certificate
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.client.client import Client
from nodetrust.discovery import TOPIC, decode_announcement
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import label_for_peer
from tests.interop.harness import InteropTestCase, Peer
from tests.interop.roles import ZONE, Roles, full_addresses
from tests.interop.toolchain import CHECKOUT

CERTIFICATE_SECONDS = 60
LOOK_AGAIN_SECONDS = 0.1
LOOPBACK_NAME = f"ip4127-0-0-1.{ZONE}"


def names_of(certificate: x509.Certificate) -> set[str]:
    """The DNS names that a certificate is for."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


class PebbleTestCase(InteropTestCase):
    """Starts the servers."""

    async def start_roles(self, *, bad_nonce_percent: int | None = None, **issue_settings: Any) -> Roles:
        roles = Roles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(roles.stop()))
        await roles.start_servers(bad_nonce_percent=bad_nonce_percent, **issue_settings)
        return roles

    def check_chain(self, roles: Roles, pem: bytes, names: set[str]) -> x509.Certificate:
        """The chain leads to Pebble's root, and its leaf has these names; returns the leaf."""
        leaf, *authorities = x509.load_pem_x509_certificates(pem)
        roots = Store(x509.load_pem_x509_certificates(roles.pebble.root_pem))
        verifier = (
            PolicyBuilder().store(roots).build_server_verifier(x509.DNSName(max(names)))
        )  # letters sort behind a wildcard's
        verifier.verify(leaf, authorities)
        self.assertEqual(names_of(leaf), names)
        return leaf


class ClientTests(PebbleTestCase):
    """Our own client."""

    async def certified_client(self, roles: Roles) -> Client:
        client = await roles.start_client()
        await client.announced().addTimeout(CERTIFICATE_SECONDS, reactor)
        return client

    async def test_certificate_from_pebble(self) -> None:
        """The certificate is for the client's key, has just the proven name and the peer's own, and Pebble's root."""
        roles = await self.start_roles()
        client = await self.certified_client(roles)
        obtained, host = client.current, client.host
        assert obtained is not None and host is not None
        self.check_chain(roles, obtained.chain.full_pem, {LOOPBACK_NAME, f"{label_for_peer(host.peer_id)}.{ZONE}"})
        self.assertEqual(obtained.chain.leaf.public_key(), obtained.key.public_key())
        self.assertFalse(obtained.from_cache)

    async def test_certificate_though_most_nonces_are_refused(self) -> None:
        """An order survives a CA that refuses nine good nonces in ten."""
        roles = await self.start_roles(bad_nonce_percent=90)
        client = await self.certified_client(roles)
        assert client.current is not None
        self.assertIn(LOOPBACK_NAME, client.current.chain.names)

    async def test_renewal_drops_nobody(self) -> None:
        """A client whose certificate runs out in a minute gets a new one, serves it, and keeps its connections."""
        roles = await self.start_roles(acme_profile="minute")
        client = await self.certified_client(roles)
        first = client.current
        assert first is not None and client.host is not None
        js = await self.start_js(extra_roots=roles.root_file, nameServer=str(roles.name_server))
        address = client.addresses[0]
        await js.command("dial", addr=str(address))
        while client.current is first:
            await deferLater(reactor, LOOK_AGAIN_SECONDS)
        assert client.current is not None
        place = ("127.0.0.1", int(address.get("tcp") or 0))
        served = x509.load_pem_x509_certificate((await deferToThread(get_server_certificate, place)).encode())
        self.assertEqual(served, client.current.chain.leaf)
        self.assertGreater(served.not_valid_after_utc, first.chain.not_after)
        await js.command("ping", peer=str(client.host.peer_id))
        self.assertEqual(len((await js.command("connections"))["connections"]), 1)

    async def test_obtain_command(self) -> None:
        """`nodetrust obtain` writes the certificate and its key, and asked again it gets the same from the store."""
        roles = await self.start_roles()
        out = roles.folder / "obtained"
        for _ in range(2):
            await self.run_obtain(roles, out)
        key = load_pem_private_key((out / "key.pem").read_bytes(), None)
        names = names_of(x509.load_pem_x509_certificate((out / "cert.pem").read_bytes()))
        leaf = self.check_chain(roles, (out / "fullchain.pem").read_bytes(), names)
        self.assertIn(LOOPBACK_NAME, names)
        self.assertEqual(leaf.public_key(), key.public_key())
        self.assertEqual((out / "key.pem").stat().st_mode & 0o777, 0o600)
        orders = [line for line in roles.pebble.printed().splitlines() if "Issued certificate serial" in line]
        self.assertEqual(len(orders), 1, roles.pebble.printed())

    async def run_obtain(self, roles: Roles, out: Path) -> None:
        """Run the command in a process of its own."""
        issuer = str(full_addresses(roles.issue.host)[0])
        program = ["-c", "from nodetrust.command.main import main; main()"]
        arguments = [*program, "obtain", "--issuer", issuer, "--out", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        output, errors, status = await getProcessOutputAndValue(sys.executable, arguments, env=environment)
        self.assertEqual(status, 0, (output + errors).decode())

    async def test_js_finds_and_dials_the_client(self) -> None:
        """js-libp2p verifies the certificate, identifies, pings, and receives the announcement by its gossipsub."""
        roles = await self.start_roles()
        client = await self.certified_client(roles)
        js = await self.start_js(extra_roots=roles.root_file, nameServer=str(roles.name_server), pubsub="gossipsub")
        await self.check_visit(client, js)

    async def test_go_finds_and_dials_the_client(self) -> None:
        """go-libp2p does the same."""
        roles = await self.start_roles()
        client = await self.certified_client(roles)
        go = await self.start_go(roots=str(roles.root_file), nameServer=str(roles.name_server), pubsub="gossipsub")
        await self.check_visit(client, go)

    async def check_visit(self, client: Client, peer: Peer) -> None:
        """The peer dials the client's WSS address, and hears of that address from the client itself."""
        assert client.host is not None
        us = str(client.host.peer_id)
        address = str(client.addresses[0])
        self.assertRegex(address, rf"^/dns4/{LOOPBACK_NAME}/tcp/\d+/tls/ws/p2p/{us}$")
        told = await peer.command("dial", addr=address)
        self.assertEqual(told["peer"], us)
        said = await peer.command("identify", peer=us)
        self.assertIn("nodetrust", said["agent"])
        await peer.command("ping", peer=us)
        await peer.command("subscribe", topic=TOPIC)
        announcement = await peer.event("message", topic=TOPIC, source=us)
        announced = decode_announcement(b64decode(announcement["data"]), PeerId.parse(us)).addresses
        self.assertIn(address, [str(one) for one in announced])


class Client2018Tests(PebbleTestCase):
    """A client as of 2018."""

    async def test_walks_the_whole_flow(self) -> None:
        """RSA only, no CSR, nothing sent for a proof: it gets a certificate and a key that match."""
        roles = await self.start_roles()
        answer = await self.run_client(roles)
        self.assertEqual(answer["error"], "OK", answer)
        self.assertEqual((answer["proofServers"], len(answer["proofs"])), (2, 2), answer)
        peer_name = f"{label_for_peer(PeerId.parse(answer['peer']))}.{ZONE}"
        leaf = self.check_chain(roles, answer["chain"].encode(), {LOOPBACK_NAME, peer_name})
        key = load_pem_private_key(answer["key"].encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self.assertEqual(leaf.public_key(), key.public_key())
        self.assertEqual(x509.load_pem_x509_certificate(answer["cert"].encode()), leaf)
        self.assertEqual(answer["chain"], answer["cert"] + answer["ca"])
        self.assertEqual(set(answer["altnames"]) | {answer["cn"]}, names_of(leaf))
        self.assertEqual(answer["validity"], int(leaf.not_valid_after_utc.timestamp() * 1000))
        self.assertFalse(answer["fromCache"])

    async def test_is_refused_where_rsa_is_not_offered(self) -> None:
        """It is told E_NO_MATCHING_CRYPTO, in a message that it can read."""
        roles = await self.start_roles(cryptos=("ecdsa-p256",))
        answer = await self.run_client(roles)
        self.assertEqual((answer["error"], answer["cert"]), ("E_NO_MATCHING_CRYPTO", None))

    async def run_client(self, roles: Roles) -> dict[str, Any]:
        """What the program in peers/js prints."""
        issuer = str(full_addresses(roles.issue.host)[0])
        program = [str(self.tools.js / "client2018.mjs"), issuer, str(roles.name_server)]
        output, errors, status = await getProcessOutputAndValue(str(self.tools.node), program, env=None)
        self.assertEqual(status, 0, errors.decode())
        answer: dict[str, Any] = json.loads(output)
        return answer
