"""A libp2p private key in a file: the base64 of its protobuf on one line, readable by its owner alone."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from pathlib import Path

from twisted.logger import Logger

from nodetrust.errors import NodetrustError
from nodetrust.files import create_file
from nodetrust.libp2p.errors import InvalidKey
from nodetrust.libp2p.keys import KeyType, PrivateKey

MAX_FILE_BYTES = 8 * 1024
"""An RSA key of 8192 bits has about 6400 characters."""

_log = Logger()


class KeyFileError(NodetrustError):
    """A key file that can not be read, written or understood; the text names the file."""


def load(path: Path | str) -> PrivateKey:
    """Read the key in *path*. A file that others may read is used, with a warning in the log.

    :raise KeyFileError: there is none, or it holds no private key.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"the key file {path} can not be read: {error.strerror}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warn("The key file {path} can be read by others: chmod 600 it", path=str(path))
    if len(content) > MAX_FILE_BYTES:
        raise KeyFileError(f"the key file {path} is longer than any key")
    try:
        return PrivateKey.from_protobuf(base64.b64decode(content.strip(), validate=True))
    except (binascii.Error, InvalidKey) as error:
        raise KeyFileError(f"the key file {path} holds no libp2p private key in base64: {error}") from None


def load_or_create(path: Path | str, type: KeyType = KeyType.ED25519) -> PrivateKey:
    """Read the key in *path*, or make one of *type* and keep it there; its folder must exist.

    The file appears whole and with its content on the disk, or not at all. If two processes do this at once, both get
    the same key.

    :raise KeyFileError: the file is there and holds no key, or can not be written.
    """
    path = Path(path)
    if not path.exists():
        try:
            create_file(path, base64.b64encode(PrivateKey.generate(type).to_protobuf()) + b"\n")
        except FileExistsError:
            pass  # another process was faster
        except OSError as error:
            raise KeyFileError(f"the key file {path} can not be written: {error.strerror}") from None
    return load(path)
