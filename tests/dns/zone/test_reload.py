"""SIGHUP: when the zone in force changes, and when it does not."""

import os
import signal
from pathlib import Path
from typing import Any

import dns.message
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.threadpool import ThreadPool
from twisted.test.proto_helpers import EventLoggingObserver
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nodetrust.dns.records import Type, parse_name
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.zone.reload import ZoneReload
from nodetrust.dns.zone.zone import Zone
from nodetrust.dns.zone.zonefile import load_zone
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.settings import HostPort, ZoneName, build
from tests.dns.example import ORIGIN
from tests.dns.workers.test_service import ask_udp

FILE = "@ 60 SOA ns.x. h.x. {serial} 2 3 4 5\n@ 60 NS ns.x.\nhost 60 A 192.0.2.{host}\n"


class InlinePool(ThreadPool):
    """Does at once, or when told, what a thread would do."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] | None = None

    def callInThreadWithCallback(self, onResult: Any, func: Any, *args: Any, **kw: Any) -> None:
        def work() -> None:
            try:
                result = func(*args, **kw)
            except Exception as error:  # as a thread pool does
                onResult(False, error)
            else:
                onResult(True, result)

        if self.held is None:
            work()
        else:
            self.held.append(work)


class FakeReactor(Clock):
    """Calls at once what a thread or a signal hands it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = InlinePool()

    def getThreadPool(self) -> InlinePool:
        return self.pool

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)


class ZoneReloadTests(SynchronousTestCase):
    """`ZoneReload` with a file on disk and no thread."""

    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.write(1, 1)
        self.reactor = FakeReactor()
        self.zones = [self.read()]
        self.reload = ZoneReload(self.reactor, self.read, self.zones[0], self.zones.append)
        observer = EventLoggingObserver.createWithCleanup(self, ZoneReload.log.observer)
        self.events: EventLoggingObserver = observer

    def write(self, serial: int, host: int) -> None:
        self.file.write_text(FILE.format(serial=serial, host=host))

    def read(self) -> Zone:
        return load_zone(self.file, ORIGIN)

    def host(self) -> bytes:
        rrset = self.zones[-1].nodes[parse_name("host.nt.test")].rrsets[Type.A]
        return rrset.rdatas[0]

    def logged(self) -> list[tuple[str, str]]:
        events: list[LogEvent] = list(self.events)
        return [(event["log_level"].name, event["log_format"].format(**event)) for event in events]

    def test_a_good_file_is_put_in_force(self) -> None:
        """The new zone replaces the old one whole, and the log says which."""
        self.write(2, 7)
        self.successResultOf(self.reload.reload())
        self.assertEqual((len(self.zones), self.host()), (2, bytes([192, 0, 2, 7])))
        self.assertEqual(self.logged(), [("info", "zone nt.test is reloaded: serial 2, 2 names")])

    def test_a_broken_file_changes_nothing(self) -> None:
        """The log names file and line; the next good file is taken again."""
        self.file.write_text(FILE.format(serial=2, host=7) + "other 60 A 192.0.2.300\n")
        self.successResultOf(self.reload.reload())
        self.assertEqual(len(self.zones), 1)
        ((level, text),) = self.logged()
        self.assertEqual(level, "error")
        self.assertIn(f"{self.file}:4: ", text)
        self.file.unlink()
        self.successResultOf(self.reload.reload())
        self.assertEqual(len(self.zones), 1)
        self.write(3, 9)
        self.successResultOf(self.reload.reload())
        self.assertEqual(self.host()[-1], 9)

    def test_serials(self) -> None:
        """A change without a new serial, or with an older one (RFC 1982), is taken, and the log warns."""
        for serial, host, warning in (
            (1, 2, "the zone has changed and its serial 1 has not"),
            (1, 2, None),
            (4294967290, 3, "the zone's serial went back from 1 to 4294967290"),
            (5, 3, None),
        ):
            del self.events._events[:]
            self.write(serial, host)
            self.successResultOf(self.reload.reload())
            warnings = [text for level, text in self.logged() if level == "warn"]
            self.assertEqual(warnings, [] if warning is None else [warning])
            self.assertEqual(self.host()[-1], host)

    def test_signals_during_a_reading(self) -> None:
        """What comes while the file is being read leads to one more reading; after the stop nothing is put in force."""
        self.reactor.pool.held = held = []
        done = self.reload.reload()
        for _ in range(3):
            self.successResultOf(self.reload.reload())
        self.assertEqual(len(held), 1)
        self.write(2, 2)
        held.pop()()
        self.assertEqual((len(held), self.host()[-1]), (1, 2))
        self.write(3, 3)
        self.reload.stop()
        held.pop()()
        self.successResultOf(done)
        self.assertEqual(self.host()[-1], 2)

    def test_a_bug_in_the_reader(self) -> None:
        """An unexpected error is logged with its traceback, and the server answers on."""
        reload = ZoneReload(self.reactor, lambda: self.fail("a bug"), self.zones[0], self.zones.append)
        self.successResultOf(reload.reload())
        self.assertEqual(len(self.zones), 1)
        self.assertEqual(len(self.flushLoggedErrors(self.failureException)), 1)


class SignalTests(TestCase):
    """The real signal."""

    def test_hangup(self) -> Deferred[Zone]:
        """SIGHUP reads the zone off the reactor's thread; after the stop the signal is whoever's it was."""
        before = signal.getsignal(signal.SIGHUP)
        file = Path(self.mktemp())
        file.write_text(FILE.format(serial=1, host=1))
        zone = load_zone(file, ORIGIN)
        seen: Deferred[Zone] = Deferred()
        reload = ZoneReload(reactor, lambda: zone, zone, seen.callback)
        reload.start()

        def stop(result: object) -> object:
            reload.stop()
            self.assertEqual(signal.getsignal(signal.SIGHUP), before)
            return result

        os.kill(os.getpid(), signal.SIGHUP)
        return seen.addTimeout(10, reactor).addBoth(stop)


class ServerTests(TestCase):
    """The signal to a server with one process, and with workers."""

    timeout = 300

    async def ask(self, service: DnsService) -> set[bytes]:
        """The last octets of what `host` is now, asked from many ports so that each worker is asked."""
        place = HostPort.parse(service.places[0])
        query = dns.message.make_query("host.nt.test", "A").to_wire()
        answers = await deferToThread(ask_udp, (place.host, place.port), query)
        return {answer[-1:] for answer in answers}

    async def check(self, workers: int) -> None:
        """A broken file changes nothing; a good one is in force everywhere."""
        file = Path(self.mktemp()).resolve()
        file.write_text(FILE.format(serial=1, host=1))
        values = {
            "zone": ZoneName("nt.test"),
            "zone_file": file,
            "state": Path(self.mktemp()),
            "listen": (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),),
            "listen_dns": (HostPort("127.0.0.1", 0),),
            "workers": workers,
        }
        service = DnsService(reactor, build(DnsSettings, values))
        self.addCleanup(lambda: Deferred.fromCoroutine(service.stop()))
        await service.start()
        refused = self.logged("the zone file is refused")
        file.write_text(FILE.format(serial=2, host=2) + "broken\n")
        os.kill(os.getpid(), signal.SIGHUP)
        await refused
        self.assertEqual(await self.ask(service), {b"\1"})
        taken = self.logged("is reloaded")
        file.write_text(FILE.format(serial=2, host=2))
        os.kill(os.getpid(), signal.SIGHUP)
        await taken
        while await self.ask(service) != {b"\2"}:  # the workers are told, and do not say when they are done
            await deferLater(reactor, 0.05)

    def logged(self, text: str) -> Deferred[None]:
        """Fires when the log has a line with this text."""
        seen: Deferred[None] = Deferred()

        def observe(event: LogEvent) -> None:
            if text in (event.get("log_format") or "") and not seen.called:
                seen.callback(None)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return seen

    def test_one_process(self) -> Deferred[None]:
        """The zone is replaced in the process itself."""
        return Deferred.fromCoroutine(self.check(1))

    def test_workers(self) -> Deferred[None]:
        """The process that has read the file tells the workers."""
        return Deferred.fromCoroutine(self.check(2))
