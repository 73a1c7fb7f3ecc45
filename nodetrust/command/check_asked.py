"""What `nodetrust check` is asked for, whichever path it walks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nodetrust.client.diagnosis.names import Names
from nodetrust.client.diagnosis.walked import Walked
from nodetrust.client.lookup.resolver import Resolver, system_resolvers
from nodetrust.keyfile import load
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.service import AGENT_VERSION, KEY_FILE, dial_options
from nodetrust.settings import HostPort


class Walking(Protocol):
    """A walk."""

    walked: Walked

    async def run(self) -> None:
        """All of it; `walked` grows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that both paths have."""

    issuers: tuple[Multiaddr, ...]
    state: Path
    wss: tuple[HostPort, ...]
    nameserver: HostPort | None
    dns_port: int
    trust_file: Path | None

    @property
    def key_file(self) -> Path | None:
        """The peer's, if it is there."""
        file = self.state / KEY_FILE
        return file if file.exists() else None

    def open_host(self, reactor: Any) -> Host:
        """With the peer's key, or one that is made up. Raises `NodetrustError`."""
        identity = PrivateKey.generate() if self.key_file is None else load(self.key_file)
        dialling = dial_options(reactor, self.nameserver, self.trust_file)
        return Host(reactor, identity, agent_version=AGENT_VERSION, **dialling)

    def names(self, reactor: Any) -> Names:
        """By the resolver, and of the name servers that it finds."""
        servers = system_resolvers() if self.nameserver is None else (self.nameserver,)
        return Names(reactor, Resolver(reactor, servers), self.dns_port)
