"""The cable between the issue server and a DNS server: a pair of network interfaces, one in a namespace, set down."""

import contextlib
import os
import subprocess
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from nodetrust.challenges.servers import WITHDRAW_SECONDS, DnsServers
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from tests.debian import find
from tests.dns.process import ServerProcess
from tests.dns_oracle.toolchain import require, require_root

reactor: Any = default_reactor

HERE, THERE = "169.254.213.1", "169.254.213.2"
NAME = "ip41-2-3-4.nt.test"
HANG_SECONDS = 15.0
CUT_SECONDS = (1.0, 5.0)
RESUME_SECONDS = 10.0
LOOK_SECONDS = 0.1


class Cable:
    """`near` is an interface here; the other end is in the namespace `name`."""

    def __init__(self) -> None:
        self.name = f"nodetrust-link-{os.getpid()}"
        self.near, self._far = f"nt{os.getpid()}a", f"nt{os.getpid()}b"

    def lay(self) -> None:
        """Make both ends, with addresses."""
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.near, "type", "veth", "peer", "name", self._far, "netns", self.name)
        self.ip("address", "add", f"{HERE}/30", "dev", self.near)
        self.ip("-n", self.name, "address", "add", f"{THERE}/30", "dev", self._far)
        self.ip("link", "set", self.near, "up")
        self.set("up")

    def set(self, state: str) -> None:
        """Set the far end `up` or `down`; nobody near is told."""
        self.ip("-n", self.name, "link", "set", self._far, state)

    def remove(self) -> None:
        """What there is of both ends, and the namespace."""
        for arguments in (("link", "delete", self.near), ("netns", "delete", self.name)):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.ip(*arguments)

    def ip(self, *arguments: str) -> None:
        """iproute2."""
        subprocess.run([str(find("ip")), *arguments], check=True, capture_output=True)


class LinkTests(TestCase):
    """One DNS server behind a cable."""

    timeout = 600

    async def prepare(self) -> None:
        """A server behind the cable, and what tells it challenges."""
        require("ip")
        require_root()
        self.cable = Cable()
        self.addCleanup(self.cable.remove)
        self.cable.lay()
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        self.server: ServerProcess = await deferToThread(
            ServerProcess,
            Path(self.mktemp()),
            prefix=(str(find("ip")), "netns", "exec", self.cable.name),
            listen=[f"/ip4/{THERE}/tcp/0"],
            listen_dns=[f"{THERE}:0"],
            admins=[str(host.peer_id)],
        )
        self.addCleanup(self.server.kill)
        self.dns = DnsServers(reactor, host, [Multiaddr.parse(self.server.address)])
        self.addCleanup(lambda: Deferred.fromCoroutine(self.dns.stop()))

    async def test_cable_out(self) -> None:
        """Within ten seconds of when it is in again all is done that was wanted; a withdrawal waits for nobody."""
        await self.prepare()
        for number, cut_seconds in enumerate(CUT_SECONDS):
            first, second = [[(NAME, f"{kind}{number}" + "v" * 41)] for kind in "ab"]
            await self.dns.publish(first)
            self.cable.set("down")
            publishing = Deferred.fromCoroutine(self.dns.publish(second))
            began = reactor.seconds()
            await self.dns.withdraw(first)
            self.assertLess(reactor.seconds() - began, WITHDRAW_SECONDS + 1)
            await deferLater(reactor, cut_seconds)
            self.assertFalse(publishing.called)
            self.cable.set("up")
            began = reactor.seconds()
            await publishing
            while self.dns.owes(first):
                await deferLater(reactor, LOOK_SECONDS)
            self.assertLess(reactor.seconds() - began, RESUME_SECONDS)
            texts = await deferToThread(self.server.texts, f"_acme-challenge.{NAME}")
            self.assertEqual(texts, [value for _, value in second])
            await self.dns.withdraw(second)

    async def test_server_that_hangs(self) -> None:
        """The system accepts for it, and nothing comes: that is known soon, named, and over when it goes on."""
        await self.prepare()
        challenges = [(NAME, "v" * 43)]
        await self.dns.publish([(NAME, "w" * 43)])
        self.server.process.send_signal(SIGSTOP)
        publishing = Deferred.fromCoroutine(self.dns.publish(challenges))
        began = reactor.seconds()
        while self.dns.states[0].answers:
            await deferLater(reactor, LOOK_SECONDS)
        self.assertLess(reactor.seconds() - began, HANG_SECONDS)
        self.assertIn(f"the DNS server {self.dns.states[0].peer} ", self.dns.states[0].trouble)
        self.assertFalse(publishing.called)
        self.server.process.send_signal(SIGCONT)
        began = reactor.seconds()
        await publishing
        self.assertLess(reactor.seconds() - began, RESUME_SECONDS)
