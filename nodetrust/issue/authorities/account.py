"""Our account at the CA: its key is made once and kept, so that a restart finds the account again."""

from __future__ import annotations

from typing import Any

from nodetrust.acme import AcmeClient, account_key_from_pem, account_key_to_pem, generate_account_key
from nodetrust.issue.settings import IssueSettings
from nodetrust.settings import SettingsError
from nodetrust.store import Store, StoredAccount


async def open_client(reactor: Any, settings: IssueSettings, store: Store) -> AcmeClient:
    """An ACME client with the stored account, or with a new key, which is stored before the CA hears of it.

    Raises `StoreError`, `AcmeUsageError` for a directory that is no https URL, and `SettingsError`.
    """
    account = await store.account(settings.acme_directory)
    if account is None:
        account = StoredAccount(settings.acme_directory, account_key_to_pem(generate_account_key()))
        await store.save_account(account)
    return AcmeClient(
        reactor,
        settings.acme_directory,
        account_key_from_pem(account.key_pem),
        account_url=account.account_url,
        contact=[f"mailto:{address}" for address in settings.contact],
        trust_root_pem=_read_roots(settings),
    )


async def keep_account_url(client: AcmeClient, settings: IssueSettings, store: Store, known: str | None) -> str | None:
    """Store the account's URL if it is another than the `known` one; returns what is known now."""
    url = client.account_url
    if url is not None and url != known:
        key_pem = account_key_to_pem(client.account_key)
        await store.save_account(StoredAccount(settings.acme_directory, key_pem, url))
    return url


def _read_roots(settings: IssueSettings) -> bytes | None:
    path = settings.acme_ca_file
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"acme_ca_file: expected a PEM file, {path} cannot be read: {error.strerror}") from error
