"""Our client against p2p-forge itself, the server of libp2p.direct: with Pebble as the CA, on a host of its own."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.threads import deferToThread

from nodetrust.certificates import Chain
from nodetrust.keyfile import load
from nodetrust.service import KEY_FILE
from tests.interop import toolchain
from tests.interop.harness import InteropTestCase
from tests.interop.libp2p_direct import DIRECTORY, DOMAIN, NINETY_DAYS, NODE, OUTSIDE, Libp2pDirect
from tests.interop.test_twistd import NODETRUST, TWISTD

CERTIFICATE_SECONDS = 60.0
CHECK_SECONDS = 60
TOKEN = "only-for-friends"
REPLACED = "is a replacement of"
"""In Pebble's log, where a new order names a certificate that it replaces."""

ISSUED = "Issued certificate serial"
"""There, too, where an order is done."""


class NamespacesTestCase(InteropTestCase):
    """With the namespaces, and a client there whose settings are the defaults as far as a test allows."""

    timeout = 300

    def setUp(self) -> None:
        super().setUp()
        toolchain.require_namespaces()
        folder = TemporaryDirectory(prefix="nodetrust-")
        self.addCleanup(folder.cleanup)
        self.world = self.make_world(Path(folder.name))
        self.state = self.world.folder / "state"
        self.addCleanup(self.world.stop)

    def make_world(self, folder: Path) -> Libp2pDirect:
        """The namespaces and the servers, which are not started yet."""
        return Libp2pDirect(folder, toolchain.require_p2p_forge(), self.tools.pebble)

    async def run_forge(self, token: str = "", life_seconds: int = NINETY_DAYS) -> None:
        """Start the servers."""
        await deferToThread(self.world.start, token=token, life_seconds=life_seconds)

    def start_client(self, settings: str = "", listen: str = "/ip4/0.0.0.0/tcp/4001") -> None:
        """`twistd nodetrust-client` on the node's host; `settings` are further lines of its file."""
        (self.world.folder / "client.toml").write_text(f"""
autotls = true
acme_directory = "{DIRECTORY}"
trust_file = "{self.world.roots}"
state = "{self.state}"
listen = ["{listen}"]
wss_listen = ["/ip4/0.0.0.0/tcp/4443/tls/ws"]
map_ports = false
check_seconds = {CHECK_SECONDS}
{settings}
""")
        configuration = str(self.world.folder / "client.toml")
        command = [sys.executable, *TWISTD, "nodetrust-client", "--config", configuration]
        self.world.start_child("client", "node", *command)

    def stop_client(self) -> None:
        """SIGTERM: it ends by itself, and nothing in its log is a bug."""
        self.world.stop_child("client")
        log = self.world.log("client")
        self.assertIn("Server Shut Down", log)
        self.assertNotIn("Traceback", log)

    async def wait_for(self, text: str, seconds: float = CERTIFICATE_SECONDS) -> None:
        """Until the client has said it."""
        await deferToThread(self.world.wait, lambda: text in self.world.log("client"), text, seconds)

    async def certificate(self) -> Chain:
        """The one that is announced."""
        await self.wait_for("WSS at /ip4/")
        return Chain.from_pem((self.state / "fullchain.pem").read_bytes())

    @property
    def name(self) -> str:
        """Of the peer in the domain."""
        return f"{load(self.state / KEY_FILE).peer_id.to_cid_base36()}.{DOMAIN}"

    @property
    def account(self) -> dict[str, str]:
        """What the client has kept of its account at the CA."""
        (file,) = self.state.glob("acme-account-*.json")
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        account: dict[str, str] = json.loads(file.read_text())
        return account

    async def obtain(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """`nodetrust obtain --autotls` on the node's host: its status, the line of JSON, and what it said on stderr."""
        out = ["--out", str(self.state), "--trust-file", str(self.world.roots), "--json"]
        command = ["obtain", "--autotls", "--acme-directory", DIRECTORY, *out, *options]
        done = await deferToThread(self.world.run, "node", sys.executable, *NODETRUST, *command)
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    async def check(self, *options: str) -> tuple[int, dict[str, Any]]:
        """`nodetrust check --autotls` on the node's host, with its defaults: its status, and the document."""
        where = ["--acme-directory", DIRECTORY, "--trust-file", str(self.world.roots), "--state", str(self.state)]
        command = ["check", "--autotls", "--json", *where, *options]
        done = await deferToThread(self.world.run, "node", sys.executable, *NODETRUST, *command)
        self.assertEqual(done.stderr, "")
        document: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, document

    async def go_peers(self, number: int) -> list[str]:
        """Addresses of go-libp2p nodes outside, which dial back whoever asks them to, and trust Pebble's root."""
        addresses = []
        for _ in range(number):
            command = self.world.hosts.at("outside", self.tools.go_peer)
            environment = {"SSL_CERT_FILE": str(self.world.wss_root)}
            started = {"listen": [f"/ip4/{OUTSIDE}/tcp/0"], "autoNAT": True}
            go = await self._start("go", command, environment, started)
            addresses += go.listening
        return addresses

    def leaf_pem(self) -> bytes:
        """What is in the folder."""
        return (self.state / "fullchain.pem").read_bytes()

    def leaf(self) -> object:
        """The certificate in the folder."""
        return Chain.from_pem(self.leaf_pem()).leaf


class CertificateTests(NamespacesTestCase):
    """From nothing to a certificate."""

    async def test_go_dials_it(self) -> None:
        """The certificate is for the peer's name; go-libp2p finds it by p2p-forge's DNS, trusts it, and meets the peer.

        It does so under both forms of the address.
        """
        await self.run_forge()
        self.start_client()
        chain = await self.certificate()
        peer = load(self.state / KEY_FILE).peer_id
        self.assertEqual(chain.names, {f"*.{self.name}"})
        label = NODE.replace(".", "-")
        short = f"/dns4/{label}.{self.name}/tcp/4443/tls/ws/p2p/{peer}"
        long = f"/ip4/{NODE}/tcp/4443/tls/sni/{label}.{self.name}/ws/p2p/{peer}"
        for address in (short, long):
            self.assertIn(f"WSS at {address}", self.world.log("client"))
            go = await self._start(
                "go",
                self.world.hosts.at("outside", self.tools.go_peer),
                {},
                {"listen": [], "roots": str(self.world.wss_root)},
            )
            self.assertEqual((await go.command("dial", addr=address))["peer"], str(peer))

    async def test_what_p2p_forge_cannot(self) -> None:
        """It takes no challenge back: that is one line in the log, nobody is warned, and the certificate comes."""
        await self.run_forge()
        self.start_client()
        await self.certificate()
        await self.wait_for("takes no challenge back: it ends by itself")
        self.stop_client()
        self.assertNotRegex(self.world.log("client"), "#(warn|error)")

    async def test_renewal_by_the_cas_word(self) -> None:
        """A client that was restarted orders nothing; told by the CA to renew, it does, with the same account.

        It says which certificate it replaces (RFC 9773 §5), and Pebble finds that it may.
        """
        await self.run_forge()
        self.start_client()
        first = await self.certificate()
        account = self.account
        self.assertTrue(account["url"].startswith(DIRECTORY.removesuffix("/dir")))
        self.stop_client()
        self.start_client()
        self.assertEqual((await self.certificate()).leaf, first.leaf)
        now = datetime.now(UTC)
        start, end = ((now - timedelta(hours=hours)).isoformat(timespec="seconds") for hours in (2, 1))
        window = {"suggestedWindow": {"start": start, "end": end}}
        await deferToThread(self.world.tell_renewal, first.leaf_pem, json.dumps(window))
        await deferToThread(self.world.wait, lambda: self.leaf() != first.leaf, "a renewal", 2 * CHECK_SECONDS)
        self.assertEqual(Chain.from_pem(self.leaf_pem()).names, first.names)
        self.assertEqual(self.account, account)
        self.assertIn("There are now 1 accounts", self.world.log("pebble"))
        self.assertNotIn("There are now 2 accounts", self.world.log("pebble"))
        self.assertEqual(self.world.log("pebble").count(REPLACED), 1)
        self.stop_client()

    async def test_an_expired_certificate(self) -> None:
        """A client that was away past the end gets another one, which replaces nothing."""
        await self.run_forge(life_seconds=10)
        self.start_client()
        await self.certificate()
        self.world.kill_child("client")
        last = Chain.from_pem(self.leaf_pem())  # on a slow machine it has been renewed since it was announced
        await deferToThread(self.world.wait, lambda: last.not_after < datetime.now(UTC), "the end", 30)
        before = len(self.world.log("pebble"))
        self.start_client()
        self.assertNotEqual((await self.certificate()).leaf, last.leaf)
        self.stop_client()
        ordered, issued, _ = self.world.log("pebble")[before:].partition(ISSUED)
        self.assertTrue(issued)
        self.assertNotIn(REPLACED, ordered)


class CommandTests(NamespacesTestCase):
    """`nodetrust obtain --autotls` on the node's host."""

    async def test_once_and_again(self) -> None:
        """A certificate, and the same one the next time; with --new-key another."""
        await self.run_forge()
        status, first, errors = await self.obtain()
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(first["names"], [f"*.{self.name}"])
        self.assertEqual((first["addresses"], first["from_cache"]), ([NODE], False))
        self.assertEqual(first["issuer"], f"https://registration.{DOMAIN}")
        self.assertLess(first["renew_at"], first["not_after"])
        leaf = self.leaf()
        self.assertEqual(await self.obtain(), (0, {**first, "from_cache": True}, ""))
        self.assertEqual(self.leaf(), leaf)
        status, _, _ = await self.obtain("--new-key")
        self.assertEqual(status, 0)
        self.assertNotEqual(self.leaf(), leaf)

    async def test_no_address_that_the_broker_reaches(self) -> None:
        """Exit status 5, and the reason in one line."""
        await self.run_forge()
        status, _, errors = await self.obtain("--listen", "/ip4/127.0.0.1/tcp/0", "--announce", f"/ip4/{NODE}/tcp/9")
        self.assertEqual((status, errors.count("\n")), (5, 1))
        self.assertIn("could not connect to this peer at any of its addresses", errors)


class CheckTests(NamespacesTestCase):
    """`nodetrust check --autotls` on the node's host, whose resolver and name servers are real."""

    async def test_all_is_well(self) -> None:
        """Beside a client that runs, with peers that dial it: all is well; p2p-forge has no status, which is said."""
        await self.run_forge()
        peers = await self.go_peers(2)
        self.start_client()
        await self.certificate()
        bootstrap = [part for peer in peers for part in ("--bootstrap", peer)]
        status, document = await self.check(*bootstrap, "--announce", f"/ip4/{NODE}/tcp/4001")
        self.assertEqual((status, document["status"], document["addresses"]), (0, 0, [NODE]), document)
        outcomes = [(one["area"], one["outcome"]) for one in document["steps"]]
        self.assertEqual([one for one in outcomes if one[1] != "ok"], [("broker", "skip")], document)
        self.assertLessEqual({"broker", "ca", "dns", "caa", "certificate", "outside"}, {area for area, _ in outcomes})
        self.stop_client()


class RefusalTests(NamespacesTestCase):
    """What keeps a certificate from coming is said, and the client goes on trying."""

    async def test_a_port_that_nobody_reaches(self) -> None:
        """The broker's words about each address come through."""
        await self.run_forge()
        self.start_client(f'announce = ["/ip4/{NODE}/tcp/4009"]', listen="/ip4/127.0.0.1/tcp/4001")
        await self.wait_for("could not connect to this peer at any of its addresses (status 400)")
        self.assertIn(f"/ip4/{NODE}/tcp/4009]", self.world.log("client"))
        self.stop_client()

    async def test_peers_that_cannot_connect(self) -> None:
        """They say so by AutoNAT, and the CA hears nothing; when they can, the certificate comes."""
        await self.run_forge()
        bootstrap = f"bootstrap = {json.dumps(await self.go_peers(2))}"
        closed = f'announce = ["/ip4/{NODE}/tcp/4009"]'
        self.start_client(f"{bootstrap}\n{closed}", listen="/ip4/127.0.0.1/tcp/4001")
        await self.wait_for("so that no CA is asked: other peers have dialled")
        self.stop_client()
        self.assertNotIn("POST", self.world.log("pebble"))
        self.start_client(bootstrap)
        await self.certificate()
        self.assertNotIn("nobody here can tell", self.world.log("client"))
        self.assertNotIn("do not say", self.world.log("client"))
        self.stop_client()

    async def test_an_access_token(self) -> None:
        """Without it the broker is closed, with it open."""
        await self.run_forge(token=TOKEN)
        self.start_client()
        await self.wait_for("is for those who have its access token: set forge_token (status 403)")
        self.stop_client()
        self.start_client(f'forge_token = "{TOKEN}"')
        self.assertEqual((await self.certificate()).names, {f"*.{self.name}"})
        self.stop_client()

    async def test_a_broker_that_is_gone(self) -> None:
        """The CA hears nothing of it."""
        await self.run_forge()
        self.world.stop_child("tls")
        self.start_client()
        await self.wait_for("no certificate: https://registration.libp2p.direct/v1/health: Connection was refused")
        self.assertNotIn("POST", self.world.log("pebble"))
        self.stop_client()
