"""A CA's bodies ⇄ values. Pure. Whatever a body holds, the only error is `AcmeMisbehaved`. RFC 8555 §7.1."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from acme import messages
from josepy.errors import Error as JoseError
from josepy.json_util import encode_b64jose

from nodetrust.acme.errors import AcmeMisbehaved
from nodetrust.acme.problems import printable
from nodetrust.acme.urls import Origin

MAX_NAMES = 100
"""Names in one order: Let's Encrypt's limit for its `classic` profile, the widest."""

_MAX_PROFILES = 100
_MAX_IDENTITIES = 10
_MAX_CONTACTS = 20
_MAX_ORDERS = 1000  # on one page of an account's list

_T = TypeVar("_T")

# What josepy's decoders let through when a field has a JSON type that they did not expect.
_DECODING_ERRORS = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a CA's resources are; every URL is of the directory's own origin. RFC 8555 §7.1.1, RFC 9773 §4.1."""

    new_nonce: str
    new_account: str
    new_order: str
    key_change: str | None
    revoke_cert: str | None
    renewal_info: str | None
    profiles: tuple[str, ...]  # of draft-ietf-acme-profiles, sorted
    terms_of_service: str | None  # to be shown to a person; it may be anywhere
    external_account_required: bool
    caa_identities: tuple[str, ...]  # what the CA is called in CAA records; RFC 8555 §9.7.6


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the CA shows it; `orders` is the URL of its list, where the CA keeps one. RFC 8555 §7.1.2."""

    status: str
    contact: tuple[str, ...]
    orders: str | None


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When the CA would like a certificate to be renewed (RFC 9773 §4.2); both are aware datetimes."""

    start: datetime
    end: datetime


def parse_document(body: bytes) -> object:
    """JSON of any shape; `AcmeMisbehaved` for what is no JSON. A member that is null is as good as none."""
    return _decoded("JSON", lambda found: json.loads(found, object_hook=_without_nulls), body)


def parse_directory(body: bytes, origin: Origin) -> Directory:
    """The directory of the CA at `origin`."""
    found = _object("directory", body)
    meta = found.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    profiles, terms = meta.get("profiles"), meta.get("termsOfService")
    identities = meta.get("caaIdentities")

    def optional(name: str) -> str | None:
        return origin.check(found[name]) if name in found else None

    return Directory(
        new_nonce=origin.check(found.get("newNonce")),
        new_account=origin.check(found.get("newAccount")),
        new_order=origin.check(found.get("newOrder")),
        key_change=optional("keyChange"),
        revoke_cert=optional("revokeCert"),
        renewal_info=optional("renewalInfo"),
        profiles=tuple(sorted(list(profiles)[:_MAX_PROFILES])) if isinstance(profiles, dict) else (),
        terms_of_service=printable(terms) if isinstance(terms, str) else None,
        external_account_required=meta.get("externalAccountRequired") is True,
        caa_identities=(
            tuple(printable(one) for one in identities[:_MAX_IDENTITIES]) if isinstance(identities, list) else ()
        ),
    )


def parse_account(body: bytes, origin: Origin) -> Account:
    """An account object."""
    found = _object("account", body)
    status, contact, orders = found.get("status"), found.get("contact"), found.get("orders")
    if not isinstance(status, str):
        raise AcmeMisbehaved("the CA sent an account without a status")
    contacts = tuple(printable(one) for one in contact[:_MAX_CONTACTS]) if isinstance(contact, list) else ()
    return Account(printable(status), contacts, origin.check(orders) if orders else None)


def parse_orders(body: bytes, origin: Origin) -> tuple[str, ...]:
    """The URLs on one page of an account's list of orders; of very many, the last. RFC 8555 §7.1.2.1."""
    found = _object("list of orders", body).get("orders")
    if not isinstance(found, list):
        raise AcmeMisbehaved("the CA sent a list of orders that is none")
    return tuple(origin.check(url) for url in found[-_MAX_ORDERS:])


def parse_order(body: bytes, origin: Origin) -> messages.Order:
    """An order whose status is known, and whose URLs are checked and bounded."""
    order: messages.Order = _decoded("order", messages.Order.from_json, _object("order", body))
    authorizations = order.authorizations
    if order.status is None or not isinstance(authorizations, list | tuple) or len(authorizations) > MAX_NAMES:
        raise AcmeMisbehaved("the CA sent an order without a status or with a wrong list of authorizations")
    for url in (order.finalize, *authorizations, *filter(None, [order.certificate])):
        origin.check(url)
    return order


def parse_authorization(body: bytes) -> messages.Authorization:
    """An authorization with an identifier, a known status and challenges (of any types)."""
    found: messages.Authorization = _decoded(
        "authorization", messages.Authorization.from_json, _object("authorization", body)
    )
    if found.status is None or found.identifier is None or not isinstance(found.identifier.value, str):
        raise AcmeMisbehaved("the CA sent an authorization without a status or an identifier")
    return found


def parse_renewal_window(body: bytes) -> RenewalWindow:
    """The suggested window of a renewalInfo resource."""
    window = _decoded("renewalInfo", messages.RenewalInfo.from_json, _object("renewalInfo", body)).suggested_window
    start, end = window.start, window.end
    if not isinstance(start, datetime) or not isinstance(end, datetime) or start.tzinfo is None or end.tzinfo is None:
        raise AcmeMisbehaved("the CA sent a renewal window without two times")
    if end < start:
        raise AcmeMisbehaved("the CA sent a renewal window that ends before it starts")
    return RenewalWindow(start, end)


def new_account(contact: Sequence[str], *, agreed: bool, binding: Mapping[str, object] | None = None) -> bytes:
    """The payload of newAccount; each contact is a `mailto:` URL. RFC 8555 §7.3."""
    fields: dict[str, object] = {"contact": list(contact)} if contact else {}
    if agreed:
        fields["termsOfServiceAgreed"] = True
    if binding is not None:
        fields["externalAccountBinding"] = binding
    return _encoded(fields)


def existing_account() -> bytes:
    """The payload of newAccount that makes none. RFC 8555 §7.3.1."""
    return _encoded({"onlyReturnExisting": True})


def account_update(contact: Sequence[str]) -> bytes:
    """The payload that changes an account's contacts. RFC 8555 §7.3.2."""
    return _encoded({"contact": list(contact)})


def deactivation() -> bytes:
    """The payload that ends an account. RFC 8555 §7.3.6."""
    return _encoded({"status": "deactivated"})


def revocation(certificate_der: bytes, reason: int | None) -> bytes:
    """The payload of revokeCert; `reason` is a CRLReason of RFC 5280 §5.3.1. RFC 8555 §7.6."""
    fields: dict[str, object] = {"certificate": encode_b64jose(certificate_der)}
    return _encoded(fields if reason is None else {**fields, "reason": reason})


def new_order(names: Sequence[str], profile: str | None, replaces: str | None) -> bytes:
    """The payload of newOrder. RFC 8555 §7.4, draft-ietf-acme-profiles §4, RFC 9773 §5."""
    identifiers = tuple(messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names)
    fields = messages.NewOrder(identifiers=identifiers, profile=profile).to_json()
    return _encoded({**fields, **({} if replaces is None else {"replaces": replaces})})


def finalize(csr_der: bytes) -> bytes:
    """The payload of finalize. RFC 8555 §7.4."""
    return _encoded({"csr": encode_b64jose(csr_der)})


def _encoded(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode()


def _without_nulls(members: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def _object(what: str, body: bytes) -> dict[str, object]:
    found = parse_document(body)
    if not isinstance(found, dict):
        raise AcmeMisbehaved(f"the CA sent something that is no {what}")
    return found


def _decoded(what: str, decode: Callable[..., _T], source: object) -> _T:
    try:
        return decode(source)
    except _DECODING_ERRORS as error:
        raise AcmeMisbehaved(f"the CA sent a malformed {what}: {printable(error)}") from error
