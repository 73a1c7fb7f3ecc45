"""A CA with Let's Encrypt's limits, which can be down, and our client there."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.task import deferLater

from nodetrust.acme import (
    AcmeRateLimited,
    Deadline,
    Dns01Record,
    IssuedCertificate,
    PlacedOrder,
    RenewalInfo,
    ari_id,
)
from nodetrust.acme.certificate import check_chain
from nodetrust.acme.errors import AcmeReplacesRefused
from nodetrust.acme.wire import RenewalWindow
from tests.simulation.timeline import DAY, HOUR, Timeline

DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"
"""Their name, so that our own quotas are for their limits."""

ORDER_SECONDS = 5.0
RENEWABLE_SECONDS = 120 * DAY
"""For so long, another certificate for the same names is a renewal."""

DIRECTORY_SECONDS = HOUR
"""For so long, the real client keeps a directory."""


class Bucket:
    """So many in a period, refilled evenly: how Let's Encrypt counts."""

    def __init__(self, amount: float, period_seconds: float) -> None:
        self._amount = amount
        self._rate = amount / period_seconds
        self._level = amount
        self._at = 0.0

    def take(self, now: float) -> float:
        """Take one; returns 0, or how long until there is one again."""
        self._level = min(self._amount, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1 - 1e-3:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0


class SimulatedCa:
    """`failure` is what it says instead of an answer, while it is down; `window` makes the ARI windows, if it has any.

    Counted: `requests` (the time of each), `orders` (time, exempt), `refused` for a limit.
    """

    def __init__(self, timeline: Timeline, life: timedelta = timedelta(days=90)) -> None:
        self.timeline = timeline
        self.life = life
        self.failure: Exception | None = None
        self.window: Callable[[x509.Certificate], RenewalWindow] | None = None
        self.exempts = True
        """Whether renewals that say `replaces` count for nothing."""
        self.requests: list[float] = []
        self.orders: list[tuple[float, bool]] = []
        self.refused: list[tuple[float, str]] = []
        self.per_account = Bucket(300, 3 * HOUR)
        self.per_domain = Bucket(50, 7 * DAY)
        self._per_names: dict[frozenset[str], Bucket] = {}
        self._signed_at: dict[frozenset[str], datetime] = {}
        self._replaced: set[str] = set()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._serial = count(1)

    def ask(self) -> None:
        """Every request goes through here."""
        self.requests.append(self.timeline.seconds())
        if self.failure is not None:
            raise self.failure

    def take_order(self, names: Sequence[str], replaces: str | None) -> None:
        """Note an order, or refuse it for a limit."""
        self.ask()
        now, wanted = self.timeline.seconds(), frozenset(names)
        if replaces is not None and self.window is not None:
            if replaces in self._replaced:
                raise AcmeReplacesRefused("it has been replaced")
            self._replaced.add(replaces)
        exempt = replaces is not None and self.window is not None and self.exempts
        if not exempt:
            signed_at = self._signed_at.get(wanted)
            known = signed_at is not None and now - signed_at.timestamp() < RENEWABLE_SECONDS
            again = self._per_names.setdefault(wanted, Bucket(5, 7 * DAY))
            self._limit("new orders", self.per_account, now)
            self._limit(f"exact set of {' '.join(names)}", again, now)
            if not known:
                self._limit("new certificates", self.per_domain, now)
        self.orders.append((now, exempt))

    def _limit(self, name: str, bucket: Bucket, now: float) -> None:
        wait = bucket.take(now)
        if wait:
            self.refused.append((now, name))
            raise AcmeRateLimited(f"too many {name}", kind="rateLimited", status=429, retry_after_seconds=wait)

    def sign(self, csr: x509.CertificateSigningRequest, names: Sequence[str], began: datetime) -> x509.Certificate:
        """A certificate with a life from `began`; for a while, another one for its names is a renewal."""
        self._signed_at[frozenset(names)] = began
        authority = x509.AuthorityKeyIdentifier(bytes(20), None, None)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([]))
            .public_key(csr.public_key())
            .serial_number(next(self._serial))
            .not_valid_before(began)
            .not_valid_after(began + self.life)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def requests_by_day(self, begin: float, end: float) -> list[int]:
        """From `begin` to `end`."""
        days = Counter(int((at - begin) // DAY) for at in self.requests if begin <= at < end)
        return [days[day] for day in range(int((end - begin) // DAY))]

    def most_in(self, seconds: float, *, exempt: bool | None = None) -> int:
        """The largest number of orders in any window of so many seconds; of all, or only the (not) exempt ones."""
        times = [at for at, was_exempt in self.orders if exempt is None or was_exempt == exempt]
        most = first = 0
        for last, at in enumerate(times):
            while times[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


class SimulatedClient:
    """`AcmeClient`, as far as the issue server calls it."""

    def __init__(self, clock: Any, ca: SimulatedCa) -> None:
        self.clock = clock
        self.ca = ca
        self.account_url = f"{DIRECTORY}/acct/1"
        self._directory_at = float("-inf")
        self._number = count()

    last_directory = None
    """What it calls itself in CAA records is not simulated."""

    async def directory(self, deadline: Deadline) -> None:
        if not 0 <= self.clock.seconds() - self._directory_at <= DIRECTORY_SECONDS:
            self.ca.ask()
            self._directory_at = self.clock.seconds()

    async def find_order(self, names: Sequence[str], deadline: Deadline) -> PlacedOrder | None:
        self.ca.ask()
        return None

    async def new_order(
        self, names: Sequence[str], deadline: Deadline, *, profile: str | None = None, replaces: str | None = None
    ) -> PlacedOrder:
        try:
            self.ca.take_order(names, replaces)
        except AcmeReplacesRefused:
            self.ca.take_order(names, None)
        return PlacedOrder(f"{DIRECTORY}/order/{next(self._number)}", cast(Any, None))

    async def renewal_window(self, certificate_pem: bytes, deadline: Deadline) -> RenewalInfo | None:
        await self.directory(deadline)
        if self.ca.window is None:
            return None
        self.ca.ask()
        ari_id(certificate_pem)
        return RenewalInfo(self.ca.window(x509.load_pem_x509_certificate(certificate_pem)), 6 * HOUR)

    async def close(self) -> None:
        """Nothing is open."""


async def complete(
    client: SimulatedClient,
    order: PlacedOrder | str,
    names: Sequence[str],
    csr_der: bytes,
    publish: Callable[[Sequence[Dns01Record]], Awaitable[None]],
    withdraw: Callable[[Sequence[Dns01Record]], Awaitable[None]],
    **options: Any,
) -> IssuedCertificate:
    """`nodetrust.acme.complete`."""
    records = [Dns01Record(name, "value") for name in names]
    await publish(records)
    client.ca.ask()
    await deferLater(client.clock, ORDER_SECONDS)
    client.ca.ask()
    began = datetime.fromtimestamp(int(client.ca.timeline.seconds()), UTC)
    leaf = client.ca.sign(x509.load_der_x509_csr(csr_der), names, began)
    await withdraw(records)
    now = datetime.fromtimestamp(client.clock.seconds(), UTC)
    return check_chain(leaf.public_bytes(Encoding.PEM), csr_der, names, now)
