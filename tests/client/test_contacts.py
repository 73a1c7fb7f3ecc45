"""Connections to those whom the user has named, and what the log says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.contacts import RECONNECT_SECONDS, Contacts, connect
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr


class Host:
    """All can be reached but those in `away`."""

    def __init__(self) -> None:
        self.away: set[Multiaddr] = set()
        self.dialled: list[Multiaddr] = []

    async def connect(self, addresses: Sequence[Multiaddr], *, anew: bool) -> None:
        self.dialled.append(addresses[0])
        if self.away.issuperset(addresses):
            raise DialError("nobody is there")


class ContactsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one, self.other = (
            Multiaddr.parse(f"/ip4/192.0.2.{number}/tcp/1").with_peer_id(PrivateKey.generate().peer_id)
            for number in (1, 2)
        )
        self.clock, self.host = Clock(), Host()
        host: Any = self.host
        contacts = Contacts(self.clock, host, [self.one, self.other])
        with capturedLogs():
            contacts.start()
        self.addCleanup(contacts.stop)

    def said(self, seconds: float) -> list[str]:
        """What is said in that time for a person to read."""
        with capturedLogs() as events:
            for _ in range(int(seconds / RECONNECT_SECONDS)):
                self.clock.advance(RECONNECT_SECONDS)
        return [formatEvent(event) or "" for event in events if event["log_level"] >= LogLevel.info]

    def test_an_outage(self) -> None:
        """It is said once that a peer is away, and once that it is back, and dialled is it all the while."""
        self.assertEqual(self.said(100), [])
        self.host.away.add(self.one)
        self.host.dialled.clear()
        self.assertEqual(self.said(3600), [f"{self.one} cannot be reached: nobody is there"])
        self.assertEqual(self.host.dialled.count(self.one), 3600 / RECONNECT_SECONDS)
        self.host.away.clear()
        self.assertEqual(self.said(100), [f"{self.one} is reached again"])

    def test_both_families(self) -> None:
        """IPv4 comes first, whatever is named first: only the other end sees which IPv4 address a router has."""
        host: Any = self.host
        for names in (("ip6/2001:db8::1", "ip4/192.0.2.7"), ("dns/issue.example",)):
            places = [Multiaddr.parse(f"/{name}/tcp/1").with_peer_id(self.one.peer_id) for name in names]
            four = Multiaddr.parse(f"/{names[-1].replace('dns/', 'dns4/')}/tcp/1").with_peer_id(self.one.peer_id)
            for away, dialled in ((set(), [four]), ({four}, [four, places[0]])):
                self.host.away, self.host.dialled = away, []
                self.successResultOf(Deferred.fromCoroutine(connect(host, tuple(places))))
                self.assertEqual(self.host.dialled, dialled)
        self.host.away = {self.one}
        self.failureResultOf(Deferred.fromCoroutine(connect(host, (self.one,))), DialError)

    def test_each_for_itself(self) -> None:
        """Another one that goes, too, is mentioned, and so is a second outage of the first."""
        self.host.away.add(self.one)
        self.assertEqual(len(self.said(100)), 1)
        self.host.away.add(self.other)
        self.assertEqual(self.said(100), [f"{self.other} cannot be reached: nobody is there"])
        self.host.away.clear()
        self.assertEqual(len(self.said(100)), 2)
        self.host.away.add(self.one)
        self.assertEqual(self.said(100), [f"{self.one} cannot be reached: nobody is there"])
