"""Accounts. RFC 8555 §7.3."""

from collections.abc import Mapping

from josepy.jwk import JWK

from nodetrust.testing.ca.db import Account
from nodetrust.testing.ca.jws import parse_request
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import CAContext, Call, Reply, Route, json_object, json_reply


class AccountResources:
    """Makes, finds, shows, changes and ends accounts."""

    def __init__(self, ca: CAContext) -> None:
        self._ca = ca

    def routes(self) -> Mapping[str, Route]:
        """First part of the path → what answers a signed POST to it."""
        return {"account": self._account, "key-change": self._key_change}

    def new_account(self, key: JWK, payload: bytes) -> Reply:
        """The account of `key`, which signed the request; made if there is none."""
        wanted = json_object(payload)
        found = self._account_of(key)
        if found is not None:
            check_active(self._ca.database.accounts.get(found))
            return self._shown_account(found, 200)
        if wanted.get("onlyReturnExisting") is True:
            raise Problem("accountDoesNotExist", "there is no account with this key")
        if wanted.get("termsOfServiceAgreed") is not True:
            raise Problem("userActionRequired", "the terms of service must be agreed to")
        account = Account(key.public_key(), _contacts(wanted.get("contact", [])))
        return self._shown_account(self._ca.database.accounts.add(account), 201)

    def _account(self, call: Call) -> Reply:
        if call.argument != call.account_id:
            raise Problem("unauthorized", "this is another account")
        wanted = call.object() if call.payload else {}
        if "contact" in wanted:
            call.account.contact = _contacts(wanted["contact"])
        if "status" in wanted:
            if wanted["status"] != "deactivated":
                raise Problem("malformed", "the only status that can be asked for is deactivated")
            call.account.deactivated = True
        return self._shown_account(call.account_id, 200)

    def _key_change(self, call: Call) -> Reply:
        inner = parse_request(call.payload, is_inner=True)
        if inner.key is None or inner.url != self._ca.url("key-change"):
            raise Problem("malformed", "the inner request needs jwk, and the url of the outer one")
        inner.check(inner.key)
        wanted = json_object(inner.payload)
        old_key = call.account.key.public_key().to_json()
        if wanted != {"account": self._ca.url(f"account/{call.account_id}"), "oldKey": old_key}:
            raise Problem("malformed", "the inner request is for another account, or has another old key")
        if self._account_of(inner.key) is not None:
            raise Problem("malformed", "there is an account with the new key", 409)
        call.account.key = inner.key.public_key()
        return self._shown_account(call.account_id, 200)

    def _account_of(self, key: JWK) -> str | None:
        thumbprint = key.thumbprint()
        return self._ca.database.accounts.find(lambda account: account.key.thumbprint() == thumbprint)

    def _shown_account(self, identifier: str, status: int) -> Reply:
        account = self._ca.database.accounts.get(identifier)
        if account is None:
            raise Problem("accountDoesNotExist", "there is no such account")
        status_text = "deactivated" if account.deactivated else "valid"
        shown: dict[str, object] = {"status": status_text, "contact": list(account.contact)}
        if self._ca.settings.lists_orders:
            shown["orders"] = self._ca.url(f"orders/{identifier}")
        return json_reply(shown, status, Location=self._ca.url(f"account/{identifier}"))


def check_active(account: Account | None) -> None:
    """`Problem` for an account that was ended."""
    if account is not None and account.deactivated:
        raise Problem("unauthorized", "the account was deactivated")


def _contacts(wanted: object) -> tuple[str, ...]:
    if not isinstance(wanted, list) or not all(_is_mail(one) for one in wanted):
        raise Problem("unsupportedContact", "contacts are a list of mailto URLs")
    return tuple(wanted)


def _is_mail(contact: object) -> bool:
    return isinstance(contact, str) and contact.startswith("mailto:") and len(contact) <= 254
