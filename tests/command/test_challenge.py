"""`nodetrust challenge`, as a hook calls it, with a real DNS server."""

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError
from twisted.trial.unittest import TestCase

from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.settings import HostPort, ZoneName
from tests.command.test_name import CommandCase

PROGRAM = ["-c", "from nodetrust.command.main import main; main()", "challenge"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
NAME = "www.nt.test"
VALUE = "".join(chr(ord("a") + place % 26) for place in range(43))
OTHER_VALUES = [f"-v{VALUE[2:]}", f"--{VALUE[2:]}", f"-h{VALUE[2:]}"]
"""Base64url has a hyphen, as options have."""

CLOSED = Multiaddr.parse("/ip4/127.0.0.1/tcp/1").with_peer_id(PrivateKey.generate().peer_id)


class ChallengeTests(TestCase):
    """Each call is a process."""

    timeout = 300

    async def start_server(self, **changes):
        """A DNS server with one admin, whose key is in `self.key`."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.key = self.folder / "admin.key"
        defaults = {
            "zone": ZoneName("nt.test"),
            "state": self.folder / "dns",
            "listen": (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),),
            "listen_dns": (HostPort("127.0.0.1", 0),),
            "admins": (load_or_create(self.key).peer_id,),
            "challenge_names": (ZoneName(NAME),),
        }
        service = DnsService(reactor, DnsSettings(**{**defaults, **changes}))
        self.addCleanup(lambda: Deferred.fromCoroutine(service.stop()))
        await service.start()
        place = HostPort.parse(service.places[0])
        self.resolver = Resolver(servers=[(place.host, place.port)])
        return service.host.addresses()[0].with_peer_id(service.host.peer_id)

    async def call(self, *arguments, **environment):
        """The status, and what it printed: for a hook there is nothing to see where all is well."""
        command = [*PROGRAM, *map(str, arguments)]
        out, err, status = await getProcessOutputAndValue(sys.executable, command, env={**ENVIRONMENT, **environment})
        self.assertNotIn("Traceback", err.decode())
        return status, (out + err).decode()

    async def values(self):
        """What a CA finds."""
        try:
            answers, _, _ = await self.resolver.lookupText(f"_acme-challenge.{NAME}")
        except DNSNameError:
            return set()
        return {record.payload.data[0].decode() for record in answers}

    async def test_set_and_removed(self):
        """Other values stay, and what is not there is removed without a word."""
        server = await self.start_server()
        told = ("--dns-server", server, "--peer-key", self.key)
        for value in (VALUE, *OTHER_VALUES):
            self.assertEqual(await self.call("set", *told, NAME, value), (0, ""))
        self.assertEqual(await self.values(), {VALUE, *OTHER_VALUES})
        for value in (*OTHER_VALUES, OTHER_VALUES[0]):
            self.assertEqual(await self.call("remove", *told, NAME, value), (0, ""))
        self.assertEqual(await self.values(), {VALUE})

    async def test_names_and_settings_of_hooks(self):
        """Certbot's hooks have the name, lego's the record's; both have settings in the environment."""
        server = await self.start_server()
        settings = {"NODETRUST_DNS_SERVERS": f" {server}", "NODETRUST_PEER_KEY": str(self.key)}
        for name in (NAME, f"_acme-challenge.{NAME}.", f"*.{NAME.upper()}"):
            self.assertEqual(await self.call("set", name, VALUE, **settings), (0, ""))
            self.assertEqual(await self.values(), {VALUE})
            self.assertEqual(await self.call("remove", name, VALUE, **settings), (0, ""))
            self.assertEqual(await self.values(), set())

    async def test_refused(self):
        """By a server whose admin this is not, or that has no such name: its own words, and status 5."""
        server = await self.start_server()
        stranger = self.folder / "stranger.key"
        load_or_create(stranger)
        for verb in ("set", "remove"):
            for name, key, words in (
                (NAME, stranger, "not one of this server's admins"),
                ("x.nt.test", self.key, "challenge_names"),
            ):
                status, printed = await self.call(verb, "--dns-server", server, "--peer-key", key, name, VALUE)
                self.assertEqual(status, 5, printed)
                self.assertIn(words, printed)
        self.assertEqual(await self.values(), set())

    async def test_out_of_reach(self):
        """Where one of two servers is down, the other has been told, and the status says that not all have."""
        server = await self.start_server()
        told = ("--dns-server", server, "--dns-server", CLOSED, "--peer-key", self.key, NAME, VALUE)
        await self.call("set", "--dns-server", server, "--peer-key", self.key, NAME, VALUE)
        status, printed = await self.call("remove", *told)
        self.assertEqual(status, 3, printed)
        self.assertIn(f"{CLOSED.peer_id} could not be reached", printed)
        self.assertEqual(await self.values(), set())


class WrongOptionTests(CommandCase):
    """Said before anything is connected."""

    def test_each(self):
        """No key, no address, no name."""
        key = str(Path(self.mktemp()))
        server = ["--dns-server", str(CLOSED)]
        self.assertIn(key, self.refusal("challenge", "set", *server, "--peer-key", key, NAME, VALUE))
        load_or_create(key)
        self.assertIn(
            "/p2p",
            self.refusal("challenge", "set", "--dns-server", "/ip4/127.0.0.1/tcp/1", "--peer-key", key, NAME, VALUE),
        )
        self.assertIn("not a label", self.refusal("challenge", "set", *server, "--peer-key", key, "a..b", VALUE))
        self.assertIn("--dns-server", self.refusal("challenge", "set", "--peer-key", key, NAME, VALUE))
        self.assertIn(
            "--dns-servr", self.refusal("challenge", "set", "--dns-servr", "x", *server, "--peer-key", key, NAME, VALUE)
        )
