"""Whose word counts: which keys of which proof servers, how many servers must agree, who is denied, whose clock is off.

Pure. A proof server signs with its own key until it is given others (`nodetrust key rotate`). Those are in a file:

    # proof server, key
    12D3KooW...server 12D3KooW...server
    12D3KooW...server 12D3KooW...key

A server that is in the file is trusted with the keys that stand there and with no other, not even its own; `none`
instead of a key trusts it with none. A server that is not in the file is trusted with its own key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import InvalidKey, Libp2pError
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.lists import NO_LISTS, Lists

MAX_KEYS_FILE_BYTES = 64 * 1024
"""Far more lines than there are proof servers."""

MAX_KEYS = 64
"""Of all proof servers: a proof that nobody signed costs a check with each."""

NO_KEY = "none"

KeysOfServers = Mapping[PeerId, tuple[PeerId, ...]]
"""The IDs of the keys that each proof server is trusted with."""


class ProofKeysError(NodetrustError):
    """A file of proof keys that is refused; the text begins with its name and line."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What is in force; replaced whole."""

    keys: Mapping[PeerId, PublicKey]
    """By ID: whatever one of them signed counts."""
    servers: Mapping[PeerId, PeerId]
    """Whose key it is."""
    quorum: int = 1
    """How many proof servers must have seen a peer at an address."""
    lists: Lists = NO_LISTS

    def keys_of(self, server: PeerId) -> list[PeerId]:
        """The IDs of a server's keys."""
        return [key for key, owner in self.servers.items() if owner == server]


def trust_in(keys: KeysOfServers, quorum: int = 1, lists: Lists = NO_LISTS) -> Trust:
    """Trust in servers with these keys, each of which is inside its ID."""
    servers = {key: server for server, ids in keys.items() for key in ids}
    found = {key: public for key in servers if (public := PublicKey.from_peer_id(key)) is not None}
    return Trust(found, servers, quorum, lists)


def own_keys(servers: Iterable[PeerId]) -> dict[PeerId, tuple[PeerId, ...]]:
    """Each server with its own key."""
    return {server: (server,) for server in servers}


def read_proof_keys(content: bytes, name: str, servers: Collection[PeerId]) -> dict[PeerId, tuple[PeerId, ...]]:
    """The keys of `servers`, as a file called `name` has them. Raises ProofKeysError at the first wrong line."""
    if len(content) > MAX_KEYS_FILE_BYTES:
        raise ProofKeysError(f"{name}: larger than {MAX_KEYS_FILE_BYTES} octets")
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ProofKeysError(f"{name}: is not text in UTF-8") from None
    named: dict[PeerId, tuple[PeerId, ...]] = {}
    owners: dict[PeerId, PeerId] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        server, key = _read_line(words, f"{name}:{number}", servers)
        if key is not None and owners.setdefault(key, server) != server:
            raise ProofKeysError(f"{name}:{number}: the key {key} is another server's")
        named[server] = (*named.get(server, ()), *(() if key is None else (key,)))
        if len(owners) > MAX_KEYS:
            raise ProofKeysError(f"{name}:{number}: more than {MAX_KEYS} keys")
    return own_keys(servers) | named


def _read_line(words: list[str], place: str, servers: Collection[PeerId]) -> tuple[PeerId, PeerId | None]:
    if len(words) != 2:
        raise ProofKeysError(f"{place}: expected the peer ID of a proof server, a space, and the ID of its key")
    server = _read_id(words[0], place)
    if server not in servers:
        raise ProofKeysError(f"{place}: {server} is not one of proof_servers")
    if words[1] == NO_KEY:
        return server, None
    key = _read_id(words[1], place)
    if not _holds_key(key):
        raise ProofKeysError(f"{place}: {key} holds no key: expected the ID of an Ed25519 or secp256k1 key")
    return server, key


def _holds_key(key_id: PeerId) -> bool:
    try:
        return PublicKey.from_peer_id(key_id) is not None
    except InvalidKey:
        return False


def _read_id(text: str, place: str) -> PeerId:
    try:
        return PeerId.parse(text)
    except Libp2pError as error:
        raise ProofKeysError(f"{place}: expected a peer ID: {str(error)[:100]}") from None


def ahead_ms(made_ms: int, now_ms: int, given_ms: int | None) -> int:
    """How far a proof server's clock is ahead of the one here, negative if behind; 0 while the times fit.

    A proof with a nonce was made after the nonce was given, at `given_ms`, and before now. One without may have been on
    its way for as long as it looks.
    """
    if made_ms > now_ms or given_ms is None:
        return made_ms - now_ms
    return min(0, made_ms - given_ms)


class SkewReports:
    """Which differences of clocks are worth a line in the log: large ones, once for each server and hour."""

    LARGE_MS = 5_000
    """Clocks that are kept right differ by milliseconds, and a peer brings its proof within seconds."""
    SECONDS = 3600.0

    def __init__(self) -> None:
        self._told: dict[PeerId, float] = {}

    def is_news(self, server: PeerId, ahead_ms: int, now: float) -> bool:
        """Whether to say it now (seconds)."""
        if abs(ahead_ms) <= self.LARGE_MS:
            return False
        told = self._told.get(server)
        if told is not None and 0 <= now - told < self.SECONDS:
            return False
        self._told[server] = now
        return True
