"""Trust while the server runs: the file of proof keys and the lists are read again when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nodetrust.files import Stamp, stamp
from nodetrust.issue.evidence.trust import (
    MAX_KEYS_FILE_BYTES,
    KeysOfServers,
    ProofKeysError,
    Trust,
    own_keys,
    read_proof_keys,
    trust_in,
)
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.build import ListsInForce
from nodetrust.names import IPAddress

POLL_SECONDS = 5.0
"""How often the file is looked at: a stolen key is out within seconds, and it needs no signal."""


class TrustInForce:
    """`trust` is what is in force now; from `tell` on, whoever is told hears of each other one."""

    log = Logger()

    def __init__(self, reactor: Any, settings: IssueSettings) -> None:
        self._settings = settings
        self._told: Callable[[Trust], None] | None = None
        self.lists = ListsInForce(reactor, settings, lambda lists: self._changed())
        self._keys: KeysOfServers = own_keys(settings.proof_ids)
        self._stamp: Stamp | None = None
        self._polling = LoopingCall(self._poll)
        self._polling.clock = reactor

    @property
    def trust(self) -> Trust:
        """What is in force."""
        return trust_in(self._keys, self._settings.quorum, self.lists.lists)

    def denied(self, peer: PeerId, ip: IPAddress) -> bool:
        """Whether a peer that comes from `ip` gets nothing."""
        return self.lists.lists.deny_peer(peer, (ip,))

    def start(self) -> None:
        """Read everything, blocking, and from now on when it changes. Raises ProofKeysError or ListError."""
        self.lists.start()
        if self._settings.proof_keys is not None:
            self._read(self._settings.proof_keys)
            self._polling.start(POLL_SECONDS, now=False)

    def tell(self, put_in_force: Callable[[Trust], None]) -> None:
        """Call this with the trust that is in force, whenever it is another one."""
        self._told = put_in_force

    def stop(self) -> None:
        """Read nothing any more."""
        self.lists.stop()
        if self._polling.running:
            self._polling.stop()

    def _changed(self) -> None:
        if self._told is not None:
            self._told(self.trust)

    def _poll(self) -> None:
        path = self._settings.proof_keys
        if path is None or stamp(path) == self._stamp:
            return
        try:
            self._read(path)
        except ProofKeysError as error:
            self.log.error("the proof keys stay as they were: {error}", error=str(error))
            return
        keys = sum(map(len, self._keys.values()))
        self.log.info("{path} has changed: {count} proof keys are trusted", path=str(path), count=keys)
        self._changed()

    def _read(self, path: Path) -> None:
        self._stamp = stamp(path)  # before the reading: what changes meanwhile is read once more
        try:
            with path.open("rb") as file:
                content = file.read(MAX_KEYS_FILE_BYTES + 1)
        except OSError as error:
            raise ProofKeysError(f"{path}: cannot be read: {error.strerror}") from error
        self._keys = read_proof_keys(content, str(path), self._settings.proof_ids)
