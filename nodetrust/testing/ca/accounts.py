"""Accounts. RFC 8555 §7.3."""

from collections.abc import Mapping

from josepy.jwk import JWK

from nodetrust.testing.ca.db import Account
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import CAContext, Call, Reply, Route, json_object, json_reply


class AccountResources:
    """Makes, finds and shows accounts; none is ever changed."""

    def __init__(self, ca: CAContext) -> None:
        self._ca = ca

    def routes(self) -> Mapping[str, Route]:
        """First part of the path → what answers a signed POST to it."""
        return {"account": self._account}

    def new_account(self, key: JWK, payload: bytes) -> Reply:
        """The account of `key`, which signed the request; made if there is none."""
        wanted = json_object(payload)
        thumbprint = key.thumbprint()
        found = self._ca.database.accounts.find(lambda account: account.key.thumbprint() == thumbprint)
        if found is not None:
            return self._shown_account(found, 200)
        if wanted.get("onlyReturnExisting") is True:
            raise Problem("accountDoesNotExist", "there is no account with this key")
        if wanted.get("termsOfServiceAgreed") is not True:
            raise Problem("userActionRequired", "the terms of service must be agreed to")
        contact = wanted.get("contact", [])
        if not isinstance(contact, list) or not all(_is_mail(one) for one in contact):
            raise Problem("unsupportedContact", "contacts are a list of mailto URLs")
        return self._shown_account(self._ca.database.accounts.add(Account(key.public_key(), tuple(contact))), 201)

    def _account(self, call: Call) -> Reply:
        if call.argument != call.account_id:
            raise Problem("unauthorized", "this is another account")
        return self._shown_account(call.account_id, 200)

    def _shown_account(self, identifier: str, status: int) -> Reply:
        account = self._ca.database.accounts.get(identifier)
        shown: dict[str, object] = {"status": "valid", "contact": [] if account is None else list(account.contact)}
        if self._ca.settings.lists_orders:
            shown["orders"] = self._ca.url(f"orders/{identifier}")
        return json_reply(shown, status, Location=self._ca.url(f"account/{identifier}"))


def _is_mail(contact: object) -> bool:
    return isinstance(contact, str) and contact.startswith("mailto:") and len(contact) <= 254
