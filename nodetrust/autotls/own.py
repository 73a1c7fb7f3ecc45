"""The broker's own certificate: an order with the CA, which our DNS servers answer for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from nodetrust.acme import (
    AcmeClient,
    AcmeError,
    Deadline,
    Dns01Record,
    account_key_from_pem,
    account_key_to_pem,
    generate_account_key,
    obtain,
)
from nodetrust.autotls.settings import AutoTlsSettings
from nodetrust.broker.broker import Challenges
from nodetrust.certificates import CertificateKey, Chain, make_csr
from nodetrust.errors import NodetrustError
from nodetrust.renewal import renewal_time
from nodetrust.settings import SettingsError
from nodetrust.store import Store, StoredAccount

RENEWAL_INFO_SECONDS = 30.0


class NotIssued(NodetrustError):
    """The CA gives no certificate now."""

    def __init__(self, reason: str, retry_after_seconds: float | None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class OwnOrders:
    """Orders of the broker's account, which replicas share; made with `open`, closed by who opened it."""

    def __init__(self, reactor: Any, client: AcmeClient, profile: str, dns: Challenges) -> None:
        self._reactor = reactor
        self._client = client
        self._profile = profile
        self._dns = dns
        self._random = SystemRandom().random
        self._chosen: datetime | None = None

    @classmethod
    async def open(cls, reactor: Any, settings: AutoTlsSettings, store: Store, dns: Challenges) -> OwnOrders:
        """The CA is not spoken to yet. Raises `StoreError`, and `SettingsError` for what is wrong with the settings."""
        directory = settings.acme_directory
        account = await store.account(directory)
        if account is None:
            new = StoredAccount(directory, account_key_to_pem(generate_account_key()))
            account = await store.first_account(new)
        try:
            client = AcmeClient(
                reactor,
                directory,
                account_key_from_pem(account.key_pem),
                account_url=account.account_url,
                contact=[f"mailto:{address}" for address in settings.contact],
                trust_root_pem=None if settings.acme_ca_file is None else _read(settings.acme_ca_file),
            )
        except AcmeError as error:
            raise SettingsError(f"acme_directory: {error}") from error
        return cls(reactor, client, settings.acme_profile, dns)

    async def order(self, names: Sequence[str], key: CertificateKey) -> Chain:
        """A whole order. Raises `NotIssued`, and `DnsServerError`."""
        self._chosen = None
        csr = make_csr(key, names)
        try:
            issued = await obtain(
                self._client, names, csr, self._publish, self._withdraw, profile=self._profile or None
            )
        except AcmeError as error:
            raise NotIssued(str(error), getattr(error, "retry_after_seconds", None)) from error
        return Chain.from_pem(issued.chain_pem)

    async def renew_at(self, names: Sequence[str], chain: Chain) -> datetime | None:
        """A moment of the window that the CA says now; None where it says none."""
        try:
            info = await self._client.renewal_window(chain.leaf_pem, Deadline(self._reactor, RENEWAL_INFO_SECONDS))
        except AcmeError:  # it is asked again
            return self._chosen
        if info is None:
            return None
        now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
        self._chosen = renewal_time(chain, info.window, now, self._random(), self._chosen)
        return self._chosen

    async def close(self) -> None:
        """Close the connections to the CA."""
        await self._client.close()

    async def _publish(self, records: Sequence[Dns01Record]) -> None:
        await self._dns.publish([(record.fqdn, record.value) for record in records])

    async def _withdraw(self, records: Sequence[Dns01Record]) -> None:
        await self._dns.withdraw([(record.fqdn, record.value) for record in records])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"acme_ca_file: expected a file, {path} cannot be read: {error.strerror}") from error
