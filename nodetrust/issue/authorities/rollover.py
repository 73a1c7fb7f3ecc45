"""Another key for our account at a CA, such that a crash in between loses neither key nor account."""

from __future__ import annotations

from dataclasses import replace

from nodetrust.acme import AcmeClient, Deadline, account_key_from_pem, account_key_to_pem, generate_account_key
from nodetrust.store import Store, StoredAccount


async def roll_over(client: AcmeClient, store: Store, account: StoredAccount, deadline: Deadline) -> StoredAccount:
    """The account with a new key, or with the one of a rollover that was cut off. RFC 8555 §7.3.5.

    The new key is in the store before the CA hears of it. No order may be open: the values of its challenges hang on
    the key. Raises `AcmeError`, `StoreError`; then the next call goes on with the same new key.
    """
    new_key_pem = account.next_key_pem
    if new_key_pem is None:
        new_key_pem = account_key_to_pem(generate_account_key())
        await store.save_account(replace(account, next_key_pem=new_key_pem))
    await client.change_key(account_key_from_pem(new_key_pem), deadline)
    done = StoredAccount(account.directory_url, new_key_pem, client.account_url)
    await store.save_account(done)
    return done
