"""The keys that a proof server signs with, one after the other.

It signs with its own key until it is given others: files in the folder `proof-keys` of its state folder, each named
after the moment from which it is used. So a new key can be made known to issue servers before anything is signed with
it, and its beginning needs no restart.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nodetrust.errors import NodetrustError
from nodetrust.files import Stamp, create_file, stamp
from nodetrust.keyfile import load
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.proofs import VALID_MS

FOLDER = "proof-keys"
SUFFIX = ".key"
_BEGIN = "%Y%m%dT%H%M%SZ"

POLL_SECONDS = 5.0
"""How often the folder is looked at."""

OVERLAP_SECONDS = 2 * VALID_MS / 1000
"""How long after the beginning of a key proofs of the one before it may still come: as long as a proof is good for, by
clocks that may differ by as much."""


class ProofKeyError(NodetrustError):
    """A file that is no key, or has no time for a name."""


@dataclass(frozen=True, slots=True)
class TimedKey:
    """A key, and when it begins to sign (seconds since the epoch)."""

    begin: float
    key: PrivateKey


def read_keys(state: Path, own: PrivateKey) -> tuple[TimedKey, ...]:
    """All keys of a state folder in the order of their beginnings, its own first. Raises `NodetrustError`."""
    try:
        names = sorted(path for path in (state / FOLDER).iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise ProofKeyError(f"{state / FOLDER}: cannot be read: {error.strerror}") from error
    return TimedKey(float("-inf"), own), *(TimedKey(_begin_of(path), load(path)) for path in names)


def key_at(keys: Sequence[TimedKey], now: float) -> PrivateKey:
    """The one that signs at `now`: the last that has begun."""
    return next(one.key for one in reversed(keys) if one.begin <= now)


def make_key(state: Path, begin: float) -> TimedKey:
    """A new key that begins at `begin`, rounded up to a second, on the disk. Raises `NodetrustError`.

    The file belongs to whoever the state folder belongs to, so that root may make it for a server.
    """
    second = int(-(-begin // 1))
    path = state / FOLDER / (datetime.fromtimestamp(second, UTC).strftime(_BEGIN) + SUFFIX)
    key = PrivateKey.generate()
    try:
        owner = state.stat()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        create_file(path, base64.b64encode(key.to_protobuf()) + b"\n")
        if os.geteuid() == 0:
            for made in (path.parent, path):
                os.chown(made, owner.st_uid, owner.st_gid)
    except FileExistsError:
        raise ProofKeyError(f"{path}: exists already: two keys cannot begin at once") from None
    except OSError as error:
        raise ProofKeyError(f"{path}: cannot be written: {error.strerror}") from error
    return TimedKey(second, key)


def _begin_of(path: Path) -> float:
    try:
        return datetime.strptime(path.stem, _BEGIN).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ProofKeyError(f"{path}: expected a name such as 20261122T180000Z{SUFFIX}") from None


class SigningKeys:
    """The keys in a state folder while the server runs; what is wrong in the folder leaves them as they were."""

    log = Logger()

    def __init__(self, reactor: Any, state: Path, own: PrivateKey) -> None:
        self._reactor = reactor
        self._state = state
        self._own = own
        self._keys: tuple[TimedKey, ...] = (TimedKey(float("-inf"), own),)
        self._stamp: Stamp = None
        self._refused = ""
        self._signer = own
        self._polling = LoopingCall(self._poll)
        self._polling.clock = reactor

    def start(self) -> None:
        """Read the folder, and again when it changes. Raises `NodetrustError`."""
        self._read()
        self._say()
        self._polling.start(POLL_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._polling.running:
            self._polling.stop()

    def current(self) -> PrivateKey:
        """The key to sign with now."""
        return key_at(self._keys, self._reactor.seconds())

    def _poll(self) -> None:
        if self._refused or stamp(self._state / FOLDER) != self._stamp:
            self._reread()
        self._say()

    def _reread(self) -> None:
        try:
            self._read()
        except NodetrustError as error:
            if str(error) != self._refused:
                self.log.error("the proof keys stay as they were: {error}", error=str(error))
            self._refused = str(error)

    def _read(self) -> None:
        self._stamp = stamp(self._state / FOLDER)  # before the reading: what changes meanwhile is read once more
        self._keys = read_keys(self._state, self._own)
        self._refused = ""

    def _say(self) -> None:
        if self.current().peer_id != self._signer.peer_id:
            self._signer = self.current()
            self.log.info("proofs are signed with the key {id} now", id=str(self._signer.peer_id))
