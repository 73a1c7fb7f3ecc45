"""Values for the store's tests, and the base of their contracts."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred

from nodetrust.quotas import Draw, Limit
from nodetrust.store import OrderRequest, Store, StoredCertificate

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as Mixin
else:
    Mixin = object  # so that Trial runs only the classes that mix it in

T = TypeVar("T")

reactor: Any = default_reactor

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
CA = "https://ca.example/dir"
PEER = b"\x00\x24peer"
NAMES = ("a.example", "b.example")
ME, OTHER = b"\x00\x24me", b"\x00\x24other"


def later(seconds: float = 0, days: float = 0) -> datetime:
    """A time after NOW."""
    return NOW + timedelta(days=days, seconds=seconds)


def certificate(**changes: Any) -> StoredCertificate:
    """A certificate of one peer, with some fields changed."""
    fields: dict[str, Any] = {
        "peer_id": PEER,
        "names": tuple(reversed(NAMES)),
        "public_key_sha256": bytes(32),
        "crypto": 2,
        "certificate_pem": b"leaf",
        "issuers_pem": b"issuer",
        "not_before": NOW,
        "not_after": later(days=90),
        "from_csr": True,
    }
    return StoredCertificate(**{**fields, **changes})


def request(number: int = 0, **changes: Any) -> OrderRequest:
    """A request that is the same as another one with this number."""
    fields: dict[str, Any] = {
        "same": number.to_bytes(32, "big"),
        "peer_id": PEER,
        "names": NAMES,
        "crypto": 2,
        "csr_der": b"csr",
    }
    return OrderRequest(**{**fields, **changes})


def draw(key: str = "ca/certificates", amount: float = 2, cost: float = 1) -> Draw:
    """A draw from a bucket that fills up in an hour."""
    return Draw(Limit(key, amount, 3600), cost)


class StoreCase(Mixin):
    """A test with stores; `url` is a new, empty database."""

    url: str

    async def opened(self) -> Store:
        """A store that is closed at the end of the test."""
        store = await Store.open(reactor, self.url)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        return store


def there(found: T | None) -> T:
    """What was found."""
    if found is None:
        raise AssertionError("nothing was found")
    return found
