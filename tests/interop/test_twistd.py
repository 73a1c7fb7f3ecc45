"""The servers and the client as an operator runs them: processes under twistd, with TOML files."""

import os
import re
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.discovery import TOPIC, decode_announcement
from nodetrust.libp2p.peer_id import PeerId
from tests.interop.harness import Daemon, InteropTestCase
from tests.interop.pebble import Pebble
from tests.interop.roles import ZONE
from tests.interop.toolchain import CHECKOUT
from tests.toml import to_toml

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
TWISTD = ["-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]
NODETRUST = ["-c", "from nodetrust.command.main import main; main()"]
ADDRESS = r"listens on (/\S+/p2p/\S+)"


class TwistdTests(InteropTestCase):
    """From keys and files to a dialled WSS address."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.running: list[Daemon] = []

    def start(self, role: str, **settings: Any) -> Daemon:
        """Run a role with these settings in a TOML file, and a state folder of its own."""
        file = self.folder / f"{role}.toml"
        settings = {"state": str(self.folder / role), **settings}
        file.write_text(to_toml(settings))
        program = Daemon(f"nodetrust-{role}")
        program.spawn([sys.executable, *TWISTD, f"nodetrust-{role}", "--config", file], ENVIRONMENT)
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        self.running.append(program)
        return program

    async def run_nodetrust(self, *arguments: str) -> tuple[int, str]:
        """The exit status of the command `nodetrust`, and what it printed."""
        command: Sequence[str] = [*NODETRUST, *arguments]
        output, errors, status = await getProcessOutputAndValue(sys.executable, command, env=ENVIRONMENT)
        return status, (output + errors).decode()

    async def test_the_main_job(self) -> None:
        """The README's recipe from the first key on, then js-libp2p hears of the client and dials it."""
        (self.folder / "issue").mkdir(mode=0o700)
        status, printed = await self.run_nodetrust("key", "new", str(self.folder / "issue" / "peer.key"))
        self.assertEqual(status, 0, printed)
        issuer = re.findall(r"12D3KooW\w+", printed)[0]
        dns = self.start("dns", zone=ZONE, listen=[LOOPBACK], listen_dns=["127.0.0.1:0"], admins=[issuer])
        name_server = await dns.logged(r"answers for \S+ on (\S+:\d+)")
        pebble = Pebble()
        self.addCleanup(lambda: Deferred.fromCoroutine(pebble.stop()))
        await pebble.start(self.tools.pebble, self.folder / "pebble", name_server)
        root = self.folder / "root.pem"
        root.write_bytes(pebble.root_pem)
        proof = self.start("proof", listen=[LOOPBACK], allow_private=True, trust_file=str(root))
        issue = self.start(
            "issue",
            zone=ZONE,
            listen=[LOOPBACK],
            proof_servers=[await proof.logged(ADDRESS)],
            dns_servers=[await dns.logged(ADDRESS)],
            acme_directory=pebble.directory,
            acme_ca_file=str(pebble.https_root),
            acme_profile="default",
            agree_to_terms=True,
            allow_private=True,
            trust_file=str(root),
        )
        client = self.start(
            "client",
            listen=[LOOPBACK],
            wss_listen=["/ip4/127.0.0.1/tcp/0/tls/ws"],
            issuer=[await issue.logged(ADDRESS)],
            announce_seconds=1.0,
        )
        await client.logged("(certificate for)")
        await self.visit(await client.logged(ADDRESS), name_server, root)
        for program in reversed(self.running):
            await program.stop()
            self.assertIn("Server Shut Down.", program.printed())
            self.assertNotIn("Traceback", program.printed())

    async def visit(self, client: str, name_server: str, root: Path) -> None:
        """Hear of the client's WSS address at its plain one, then dial it from a new node."""
        listener = await self.start_js(nameServer=name_server, pubsub="gossipsub")
        us = str((await listener.command("dial", addr=client))["peer"])
        await listener.command("subscribe", topic=TOPIC)
        heard = await listener.event("message", topic=TOPIC, source=us)
        addresses = decode_announcement(b64decode(heard["data"]), PeerId.parse(us)).addresses
        visitor = await self.start_js(extra_roots=root, nameServer=name_server)
        told = await visitor.command("dial", addr=str(addresses[0]))
        self.assertEqual(told["peer"], us)

    async def test_wrong_setting(self) -> None:
        """The start ends with status 1 and a line that names the file, the key and what was expected."""
        dns = self.start("dns", zone=ZONE, listen_dns=["nowhere"])
        await dns.when_ended()
        self.assertEqual(dns.status, 1, dns.printed())
        self.assertRegex(dns.printed(), r"dns\.toml.*listen_dns.*expected")
        self.assertNotIn("Traceback", dns.printed())

    async def test_taken_port(self) -> None:
        """A port that is taken ends the start with status 1 and a line that says which."""
        first = self.start("dns", zone=ZONE, listen=[LOOPBACK], listen_dns=["127.0.0.1:0"])
        place = await first.logged(r"answers for \S+ on (\S+:\d+)")
        second = self.start("dns", zone=ZONE, listen=[LOOPBACK], listen_dns=[place])
        await second.when_ended()
        self.assertEqual(second.status, 1, second.printed())
        self.assertIn(place, second.printed())
        self.assertNotIn("Traceback", second.printed())
