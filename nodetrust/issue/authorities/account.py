"""Our account at a CA: its key is made once and kept, so that a restart finds the account again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nodetrust.acme import (
    AcmeClient,
    ExternalAccount,
    account_key_from_pem,
    account_key_to_pem,
    generate_account_key,
)
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.settings import SettingsError
from nodetrust.store import Store, StoredAccount


async def load_account(store: Store, directory_url: str) -> StoredAccount:
    """The stored account, or one with a new key, which is stored before the CA hears of it. Raises `StoreError`."""
    account = await store.account(directory_url)
    if account is None:
        new = StoredAccount(directory_url, account_key_to_pem(generate_account_key()))
        account = await store.first_account(new)
    return account


def open_client(reactor: Any, settings: IssueSettings, ca: CaSettings, account: StoredAccount) -> AcmeClient:
    """A client for this account; the CA is not spoken to yet.

    Raises `AcmeUsageError` for a directory that is no https URL, and `SettingsError` for a file that cannot be read.
    """
    return AcmeClient(
        reactor,
        ca.directory,
        account_key_from_pem(account.key_pem),
        account_url=account.account_url,
        contact=[f"mailto:{address}" for address in settings.contact],
        trust_root_pem=None if ca.root_file is None else _read(ca.root_file, settings.key_of_ca("root_file")),
        external_account=_external_account(settings, ca),
    )


def with_url(account: StoredAccount, account_url: str | None) -> StoredAccount:
    """The account with what the CA calls it."""
    return replace(account, account_url=account_url)


def _external_account(settings: IssueSettings, ca: CaSettings) -> ExternalAccount | None:
    if ca.eab_key_file is None:
        return None
    text = _read(ca.eab_key_file, settings.key_of_ca("eab_key_file")).decode("ascii", "replace").strip()
    return ExternalAccount.parse(ca.eab_kid, text)


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{key}: expected a file, {path} cannot be read: {error.strerror}") from error
