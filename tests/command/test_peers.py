"""`nodetrust peers`, as a person and a program call it."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from random import SystemRandom

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from nodetrust.discovery import Announcer, relay, start_pubsub
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from tests.command.test_name import CommandCase

PROGRAM = [sys.executable, "-c", "from nodetrust.command.main import main; main()", "peers"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "COLUMNS": "300",
    "TERM": "xterm",
}
PLACE = Multiaddr.parse("/dns4/ip41-2-3-4.nt.example.org/tcp/4443/tls/ws")
OTHER_PLACE = Multiaddr.parse("/dns4/ip41-2-3-4.example.com/tcp/4443/tls/ws")
ANNOUNCED_SECONDS = 0.25
"""So often that it is heard within a few seconds, though the mesh takes one of those and a slow machine another."""

NOBODY = f"/ip4/127.0.0.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"


class Program(ProcessProtocol):
    """A run of the command, and what it has printed; on a terminal all of it is in `out`."""

    def __init__(self, *arguments, terminal=False):
        self.out = self.err = ""
        self.status = None
        reactor.spawnProcess(self, PROGRAM[0], [*PROGRAM, *arguments], env=ENVIRONMENT, usePTY=terminal)

    def outReceived(self, data):
        self.out += data.decode()

    def errReceived(self, data):
        self.err += data.decode()

    def processEnded(self, reason):
        self.status = -reason.value.signal if reason.value.exitCode is None else reason.value.exitCode

    def signal(self, number):
        try:
            self.transport.signalProcess(number)
        except ProcessExitedAlready:
            return

    async def ended(self):
        await until(lambda: self.status is not None)
        return self.status


async def until(condition):
    while not condition():
        await deferLater(reactor, 0.02)


class PeersTests(TestCase):
    timeout = 300

    async def start_host(self):
        """A host with pubsub that carries announcements, and its address."""
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        pubsub = start_pubsub(host, reactor)
        self.addCleanup(pubsub.stop)
        relay(pubsub)
        address = (await host.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))).with_peer_id(host.peer_id)
        return host, pubsub, address

    async def start_server(self):
        """A server, and a client that announces `PLACE` over it."""
        _, _, address = await self.start_host()
        client, pubsub, _ = await self.start_host()
        await client.connect([address])
        announcer = Announcer(pubsub, reactor, SystemRandom(), ANNOUNCED_SECONDS)
        announcer.set_addresses([PLACE])
        announcer.start()
        self.addCleanup(announcer.stop)
        self.client, self.announcer = client, announcer
        return str(address)

    def run_program(self, *arguments, terminal=False):
        program = Program(*arguments, terminal=terminal)

        def kill() -> Deferred[None]:
            program.signal(signal.SIGKILL)
            return Deferred.fromCoroutine(program.ended())

        self.addCleanup(kill)
        return program

    async def test_lines(self):
        """A line for each peer on stdout; what goes on is on stderr."""
        program = self.run_program("--issuer", await self.start_server(), "--seconds", "4")
        self.assertEqual(await program.ended(), 0, program.err)
        self.assertEqual(program.out, f"{self.client.peer_id} {PLACE.with_peer_id(self.client.peer_id)}\n")
        self.assertRegex(program.err, r"^connected to \w+\nlistening for 4 seconds\n$")

    async def test_json(self):
        """One document, with the author of a peer behind a forwarder; only what is of the zone."""
        server = await self.start_server()
        behind = PrivateKey.generate().peer_id
        self.announcer.set_addresses([OTHER_PLACE, PLACE], behind)
        program = self.run_program("--issuer", server, "--seconds", "4", "--json", "--zone", "NT.example.org.")
        self.assertEqual(await program.ended(), 0, program.err)
        (peer,) = json.loads(program.out)["peers"]
        self.assertEqual(peer["author"], str(self.client.peer_id))
        self.assertEqual(peer["peer"], str(behind))
        self.assertEqual(peer["addresses"], [str(PLACE.with_peer_id(behind))])
        self.assertGreaterEqual(peer["announcements"], 2)
        self.assertRegex(peer["first_heard"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertLess(peer["first_heard"], peer["last_heard"])

    async def test_watch(self):
        """Each event is a line as soon as it is known, and Ctrl-C or SIGTERM is the end, with status 0."""
        server = await self.start_server()
        lines = self.run_program("--issuer", server, "--watch")
        documents = self.run_program("--issuer", server, "--watch", "--json")
        await until(lambda: "found" in lines.out and "found" in documents.out)
        self.announcer.set_addresses([OTHER_PLACE])
        await until(lambda: "changed" in lines.out and "changed" in documents.out)
        us = self.client.peer_id
        expected = [f"found {us} {PLACE.with_peer_id(us)}", f"changed {us} {OTHER_PLACE.with_peer_id(us)}"]
        self.assertEqual(lines.out.splitlines(), expected)
        events = [json.loads(line) for line in documents.out.splitlines()]
        self.assertEqual([event["event"] for event in events], ["found", "changed"])
        self.assertEqual(events[1]["addresses"], [str(OTHER_PLACE.with_peer_id(us))])
        lines.signal(signal.SIGINT)
        documents.signal(signal.SIGTERM)
        for program in (lines, documents):
            self.assertEqual(await program.ended(), 0, program.err)
            self.assertNotIn("Traceback", program.err)
            self.assertNotIn("lost", program.err)

    async def test_terminal(self):
        """A table that is drawn while it listens, and stands at the end; colours and boxes are for terminals alone."""
        program = self.run_program("--issuer", await self.start_server(), "--seconds", "4", terminal=True)
        await until(lambda: "seconds more" in program.out)
        await until(lambda: str(self.client.peer_id) in program.out)
        self.assertEqual(await program.ended(), 0, program.out)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", program.out)
        last = text[text.rindex("announced") - 2 :]
        self.assertRegex(last, rf"│ {self.client.peer_id} +│ +[0-2] s ago │ +[2-5] s │")
        self.assertRegex(last, rf"│ {PLACE} +│")
        self.assertNotIn("seconds more", last)
        self.assertIn("\x1b[?25h", program.out)  # the cursor is back

    async def test_interrupted(self):
        """Ctrl-C before the time is over ends it cleanly, with the status that shells give."""
        program = self.run_program("--issuer", await self.start_server(), "--seconds", "60")
        await until(lambda: "listening" in program.err)
        program.signal(signal.SIGINT)
        self.assertEqual(await program.ended(), 130)
        self.assertEqual((program.out, "Traceback" in program.err), ("", False))

    async def test_interrupted_while_it_connects(self):
        """So does Ctrl-C while no server has answered yet."""
        met = []
        factory = Factory()
        factory.buildProtocol = lambda address: met.append(address) or Protocol()
        silent = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        address = f"/ip4/127.0.0.1/tcp/{silent.getHost().port}/p2p/{PrivateKey.generate().peer_id}"
        program = self.run_program("--issuer", address)
        await until(lambda: met)
        program.signal(signal.SIGINT)
        self.assertEqual(await program.ended(), 130, program.err)
        self.assertEqual((program.out, program.err), ("", ""))

    async def test_nobody(self):
        """Nobody to be shown is no failure, and is said."""
        _, _, address = await self.start_host()
        program = self.run_program("--issuer", str(address), "--seconds", "1", "--json")
        self.assertEqual(await program.ended(), 0, program.err)
        self.assertEqual(json.loads(program.out), {"peers": []})
        self.assertIn("nobody is announced", program.err)

    async def test_servers_out_of_reach(self):
        """One of several will do; without any the status is 3, as that of `nodetrust obtain`."""
        server = await self.start_server()
        program = self.run_program("--issuer", NOBODY, "--issuer", server, "--seconds", "3")
        self.assertEqual(await program.ended(), 0, program.err)
        self.assertIn("could not reach", program.err)
        self.assertIn(str(self.client.peer_id), program.out)
        program = self.run_program("--issuer", NOBODY)
        self.assertEqual(await program.ended(), 3)
        self.assertEqual(program.out, "")
        self.assertRegex(program.err, "^could not reach .*\n$")

    async def test_a_server_that_dies(self):
        """It is said, and dialled again; what was heard is shown all the same."""
        host, _, address = await self.start_host()
        program = self.run_program("--issuer", str(address), "--seconds", "3")
        await until(lambda: "listening" in program.err)
        await host.stop()
        self.assertEqual(await program.ended(), 0, program.err)
        self.assertIn(f"lost {host.peer_id}", program.err)

    async def test_a_reader_that_has_enough(self):
        """`nodetrust peers --watch | head -1` ends, and without a word about it."""
        server = await self.start_server()
        program = self.run_program("--issuer", server, "--watch")
        await until(lambda: "found" in program.out)
        program.transport.closeStdout()
        self.announcer.set_addresses([OTHER_PLACE])
        self.assertEqual(await program.ended(), 0, program.err)
        self.assertNotIn("Traceback", program.err)
        self.assertNotIn("BrokenPipe", program.err)


class UsageTests(CommandCase):
    def test_wrong_options(self):
        """Each is refused with a sentence that says what was expected."""
        self.assertIn("Missing option '--issuer'", self.refusal("peers"))
        self.assertIn("not a multiaddr", self.refusal("peers", "--issuer", "x"))
        self.assertIn("does not end in /p2p", self.refusal("peers", "--issuer", "/ip4/1.2.3.4/tcp/1"))
        self.assertIn("not a label", self.refusal("peers", "--issuer", NOBODY, "--zone", "a..b"))
        self.assertIn("range", self.refusal("peers", "--issuer", NOBODY, "--seconds", "0"))
        self.assertIn("expected", self.refusal("peers", "--issuer", NOBODY, "--nameserver", "x"))
