"""The resolvers of this machine, asked in turn."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from nodetrust.client.lookup.errors import NoReply
from nodetrust.client.lookup.transport import ask
from nodetrust.client.lookup.wire import NO_ERROR, NO_SUCH_NAME, Question, Reply, Type
from nodetrust.settings import HostPort

RESOLV_CONF = Path("/etc/resolv.conf")

MAX_RESOLVERS = 3
"""As resolv.conf(5) has it."""

DNS_PORT = 53


def system_resolvers(file: Path = RESOLV_CONF) -> tuple[HostPort, ...]:
    """Those that resolv.conf(5) names, or the one on this machine if it names none, as the C library does."""
    try:
        lines = file.read_text("ascii", "replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines if line.startswith("nameserver")]
    hosts = [line[1] for line in words if len(line) > 1 and _is_address(line[1])]
    return tuple(HostPort(host, DNS_PORT) for host in hosts[:MAX_RESOLVERS]) or (HostPort("127.0.0.1", DNS_PORT),)


class Resolver:
    """Asks recursively, the next server where one does not answer or fails."""

    def __init__(self, reactor: Any, servers: Sequence[HostPort]) -> None:
        self.servers = tuple(servers)
        self._reactor = reactor

    async def ask(self, name: str, type_: Type) -> Reply:
        """The first reply that says what is or is not there, else the last of the others. Raises `NoReply`."""
        question = Question(name, type_)
        reasons: list[str] = []
        reply: Reply | None = None
        for server in self.servers:
            try:
                reply = await self._ask_one(server, question)
            except NoReply as error:
                reasons.append(f"{server}: {error}")
                continue
            if reply.code in (NO_ERROR, NO_SUCH_NAME):
                return reply
        if reply is None:
            raise NoReply(f"no resolver answers ({'; '.join(reasons)})")
        return reply

    async def _ask_one(self, server: HostPort, question: Question) -> Reply:
        reply = await ask(self._reactor, server, question, "UDP", recurse=True)
        return await ask(self._reactor, server, question, "TCP", recurse=True) if reply.truncated else reply


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
