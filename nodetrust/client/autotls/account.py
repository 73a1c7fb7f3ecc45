"""This peer's account at a CA: its key, and the URL by which the CA knows it, in a file of the state folder.

The key is made once for each CA, and is on the disk before the CA hears of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from josepy.jwk import JWK

from nodetrust.acme import AcmeUsageError, account_key_from_pem, account_key_to_pem, generate_account_key
from nodetrust.client.autotls.errors import AccountFileError
from nodetrust.files import replace_file

MAX_FILE_BYTES = 16 * 1024
"""A key of RSA-8192 takes 6500."""

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Account:
    """`url` is None until the CA has said it."""

    directory: str
    key: JWK
    url: str | None = None


def account_file(folder: Path, directory: str) -> Path:
    """A file for each CA: a key that one of them knows is none of the others' business."""
    return folder / f"acme-account-{hashlib.sha256(directory.encode()).hexdigest()[:_DIGITS]}.json"


def read_account(folder: Path, directory: str) -> Account | None:
    """The account of an earlier run, if there is one. Raises `AccountFileError`."""
    path = account_file(folder, directory)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AccountFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = json.loads(content)
        url = found["url"]
        if not isinstance(url, str | None):
            raise TypeError
        return Account(directory, account_key_from_pem(str(found["key"]).encode()), url)
    except (ValueError, TypeError, KeyError, AcmeUsageError) as error:
        raise AccountFileError(f"{path}: expected the key and the URL of an ACME account in JSON") from error


def load_account(folder: Path, directory: str) -> Account:
    """The account of an earlier run, or one with a new key, which is stored. Raises `AccountFileError`."""
    account = read_account(folder, directory)
    if account is None:
        account = Account(directory, generate_account_key())
        save_account(folder, account)
    return account


def save_account(folder: Path, account: Account) -> None:
    """Write the file, readable by its owner alone, whole or not at all. Raises `AccountFileError`."""
    path = account_file(folder, account.directory)
    said = {"directory": account.directory, "url": account.url, "key": account_key_to_pem(account.key).decode()}
    try:
        replace_file(path, json.dumps(said, indent=1).encode() + b"\n", 0o600)
    except OSError as error:
        raise AccountFileError(f"{path}: cannot be written: {error.strerror}") from error
