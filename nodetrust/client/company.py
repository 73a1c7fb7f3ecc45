"""The company of other peers: who is announced, our own announcement, and connections enough for both."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import Any

from nodetrust.client.contacts import Contacts
from nodetrust.client.settings import ClientSettings
from nodetrust.discovery import Announced, Announcer, Discovery, Neighbours, SequenceNumbers, Wanted, start_pubsub
from nodetrust.discovery.sequence import SEQUENCE_FILE
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr


class Company:
    """Pubsub on a host from the beginning to `stop`; `found` and `gone` are called with peers that are announced."""

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        host: Host,
        found: Callable[[Announced], None],
        gone: Callable[[Announced], None],
    ) -> None:
        random = SystemRandom()
        self.pubsub = pubsub = start_pubsub(host, reactor, SequenceNumbers(settings.state / SEQUENCE_FILE))
        wanted = Wanted(frozenset(settings.zones) or None, settings.allow_private)
        self.discovery = discovery = Discovery(pubsub, reactor, wanted)
        discovery.on_found(found)
        discovery.on_changed(found)
        discovery.on_gone(gone)
        self._announcer = Announcer(pubsub, reactor, random, settings.announce_seconds)
        contacts = Contacts(reactor, host, (*settings.issuer, *settings.bootstrap))
        neighbours = Neighbours(host, pubsub, discovery, reactor, random)
        self._parts = (discovery, self._announcer, contacts, neighbours)
        for part in self._parts:
            part.start()

    def announce(self, addresses: tuple[Multiaddr, ...]) -> None:
        """Say from now on that these are where whoever their /p2p names can be dialled."""
        self._announcer.set_addresses(addresses, addresses[0].peer_id if addresses else None)

    def stop(self) -> None:
        """Leave it."""
        for part in reversed(self._parts):
            part.stop()
        self.pubsub.stop()
