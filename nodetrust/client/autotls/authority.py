"""One CA, and this peer's account there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from twisted.web.iweb import IAgent

from nodetrust.acme import (
    AcmeClient,
    AcmeError,
    AcmeRateLimited,
    Deadline,
    IssuedCertificate,
    RenewalInfo,
    obtain,
)
from nodetrust.acme.complete import Publish
from nodetrust.client.autotls.account import Account, load_account, save_account
from nodetrust.client.errors import ObtainError, Refused
from nodetrust.messages import E_RATE_LIMIT

ORDER_SECONDS = 420.0
"""A whole order: the broker may take a minute and a half, and the DNS three."""

QUESTION_SECONDS = 60.0


class Authority:
    """Orders certificates. An account that the CA has forgotten is made again, by its key."""

    log = Logger()

    def __init__(self, reactor: Any, folder: Path, directory: str, agent: IAgent) -> None:
        self._reactor = reactor
        self._folder = folder
        self._directory = directory
        self._agent = agent
        self._account: Account | None = None
        self._client: AcmeClient | None = None

    async def obtain(
        self, names: Sequence[str], csr: bytes, publish: Publish, withdraw: Publish, replaces: str | None
    ) -> IssuedCertificate:
        """A certificate; `publish` makes the challenges visible, and `withdraw` ends that.

        Raises `ObtainError`, and what `publish` raises.
        """
        client = self._open()
        try:
            return await obtain(client, names, csr, publish, withdraw, replaces=replaces, timeout_seconds=ORDER_SECONDS)
        except AcmeError as error:
            raise self._failure(error) from error
        finally:
            self._keep(client.account_url)

    async def renewal(self, certificate_pem: bytes) -> RenewalInfo | None:
        """When the CA wants the certificate renewed; None where it has no opinion. Raises `ObtainError`."""
        try:
            return await self._open().renewal_window(certificate_pem, Deadline(self._reactor, QUESTION_SECONDS))
        except AcmeError as error:
            raise self._failure(error) from error

    def _open(self) -> AcmeClient:
        if self._client is None:
            account = self._account = load_account(self._folder, self._directory)
            if account.url is None:
                self.log.info(
                    "this peer makes an account at {directory}, and agrees to its terms of service",
                    directory=self._directory,
                )
            self._client = AcmeClient(
                self._reactor, self._directory, account.key, account_url=account.url, agent=self._agent
            )
        return self._client

    def _keep(self, url: str | None) -> None:
        """What cannot be stored costs a request after the next start, and no certificate."""
        if self._account is None or url is None or url == self._account.url:
            return
        self._account = replace(self._account, url=url)
        try:
            save_account(self._folder, self._account)
        except ObtainError as error:
            self.log.warn("{reason}", reason=str(error))

    def _failure(self, error: AcmeError) -> ObtainError:
        text = f"the CA {self._directory}: {error}"
        if isinstance(error, AcmeRateLimited):
            return Refused(text, E_RATE_LIMIT, math.ceil(error.retry_after_seconds))
        return ObtainError(text)
