"""What the CA remembers, in memory: a restart forgets all but the root, as with Pebble. No statuses are stored here.

RFC 8555 §7.1.6 draws the states that the `*_status` functions compute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from josepy.jwk import JWK

from nodetrust.testing.ca.problems import Problem

_MAX_RECORDS = 10_000  # of each kind; the oldest gives way
_ID_BYTES = 16

_T = TypeVar("_T")


@dataclass(slots=True)
class Account:
    """RFC 8555 §7.1.2."""

    key: JWK
    contact: tuple[str, ...]
    deactivated: bool = False


@dataclass(slots=True)
class Authorization:
    """RFC 8555 §7.1.4, with its one dns-01 challenge. Times are seconds since 1970."""

    account_id: str
    name: str  # without `*.`
    wildcard: bool
    token: str
    expires: float
    answered: bool = False
    validated: float | None = None
    problem: Problem | None = None
    last_problem: Problem | None = None
    """Why the last try failed, where another one is possible."""

    def failed(self, problem: Problem, *, tries_again: bool) -> None:
        """The proof was not found."""
        if tries_again:
            self.answered, self.last_problem = False, problem
        else:
            self.problem = problem


@dataclass(slots=True)
class Order:
    """RFC 8555 §7.1.3."""

    account_id: str
    names: tuple[str, ...]
    authorization_ids: tuple[str, ...]
    profile: str
    expires: float
    replaces: str | None = None  # the ARI identifier of a certificate (RFC 9773 §5)
    certificate_id: str | None = None


@dataclass(slots=True)
class Certificate:
    """An issued certificate with its chain."""

    account_id: str
    chain_pem: bytes
    serial: int
    not_before: float
    not_after: float
    revoked: bool = False


class Records(Generic[_T]):
    """Records of one kind under random identifiers; bounded."""

    def __init__(self, random_id: Callable[[], str]) -> None:
        self._random_id = random_id
        self._records: dict[str, _T] = {}

    def add(self, record: _T) -> str:
        """Keep a record; returns its identifier."""
        identifier = self._random_id()
        self._records[identifier] = record
        if len(self._records) > _MAX_RECORDS:
            del self._records[next(iter(self._records))]
        return identifier

    def get(self, identifier: str) -> _T | None:
        """The record, if it is known."""
        return self._records.get(identifier)

    def pop(self, identifier: str) -> _T | None:
        """The record, which is then forgotten."""
        return self._records.pop(identifier, None)

    def items(self) -> list[tuple[str, _T]]:
        """All records with their identifiers, oldest first."""
        return list(self._records.items())

    def find(self, wanted: Callable[[_T], bool]) -> str | None:
        """The identifier of the newest record that is wanted."""
        return next((key for key, record in reversed(self._records.items()) if wanted(record)), None)


@dataclass(slots=True)
class Database:
    """All records, and the nonces that were given out and have not come back."""

    random_id: Callable[[], str]
    accounts: Records[Account] = field(init=False)
    orders: Records[Order] = field(init=False)
    authorizations: Records[Authorization] = field(init=False)
    certificates: Records[Certificate] = field(init=False)
    nonces: Records[bool] = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Records(self.random_id)
        self.orders = Records(self.random_id)
        self.authorizations = Records(self.random_id)
        self.certificates = Records(self.random_id)
        self.nonces = Records(self.random_id)

    def order_status(self, order: Order, now: float) -> str:
        """`pending`, `ready`, `valid` or `invalid`; we issue at once, so never `processing`."""
        if order.certificate_id is not None:
            return "valid"
        found = [self.authorizations.get(identifier) for identifier in order.authorization_ids]
        statuses = {authorization_status(one, now) if one is not None else "invalid" for one in found}
        if now >= order.expires or statuses - {"valid", "pending"}:
            return "invalid"
        return "ready" if statuses == {"valid"} else "pending"

    def certificate_with(self, serial: int) -> Certificate | None:
        """The certificate with this serial number."""
        identifier = self.certificates.find(lambda certificate: certificate.serial == serial)
        return None if identifier is None else self.certificates.get(identifier)

    def order_problem(self, order: Order) -> Problem | None:
        """Why an order is invalid, where an authorization failed."""
        found = [self.authorizations.get(identifier) for identifier in order.authorization_ids]
        return next((one.problem for one in found if one is not None and one.problem is not None), None)


def authorization_status(authorization: Authorization, now: float) -> str:
    """`pending`, `valid`, `invalid` or `expired`."""
    if authorization.problem is not None:
        return "invalid"
    if now >= authorization.expires:
        return "expired"
    return "pending" if authorization.validated is None else "valid"


def challenge_status(authorization: Authorization) -> str:
    """`pending`, `processing`, `valid` or `invalid`."""
    if authorization.problem is not None:
        return "invalid"
    if authorization.validated is not None:
        return "valid"
    return "processing" if authorization.answered else "pending"
