"""The pool, with processes that are only pretended and sockets that are real but unused."""

import errno
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.answering import Answering
from nodetrust.dns.authority import read_zone
from nodetrust.dns.challenges.dns01 import ChallengesInMemory
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.transport.ports import DnsPort
from nodetrust.dns.transport.sockets import DnsSockets
from nodetrust.dns.workers.messages import (
    AddChallenge,
    Counted,
    Done,
    Numbered,
    ReplaceLists,
    ReplaceZone,
    Start,
    Stop,
    decode_order,
    encode,
    lists_from_image,
    lists_image,
    zone_from_image,
)
from nodetrust.dns.workers.pool import (
    FIRST_DELAY_SECONDS,
    LONG_LIFE_SECONDS,
    MAX_DELAY_SECONDS,
    STOP_SECONDS,
    ChallengesInWorkers,
    Pool,
)
from nodetrust.dns.workers.process import ORDER_SECONDS, WorkerProcess
from nodetrust.libp2p.framing import FrameDecoder
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.lists.prefixes import PrefixSet
from nodetrust.settings import HostPort, ZoneName, build, settings_from_bytes
from tests.dns.workers.test_messages import CHALLENGE

ROOT = bytes(range(32))


class FakeProcess:
    """The transport of a WorkerProcess: a process that does what the test says."""

    def __init__(self, protocol: WorkerProcess) -> None:
        self.protocol = protocol
        self.frames = FrameDecoder(1 << 24)
        self.orders: list[Numbered] = []
        self.signals: list[Any] = []
        protocol.pid = id(self)
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        self.orders += map(decode_order, self.frames.receive_data(data))

    def do(self, count: int | None = None) -> list[Any]:
        """Carry out the waiting orders, and return them."""
        done, self.orders = self.orders[:count], self.orders[len(self.orders[:count]) :]
        for one in done:
            self.protocol.outReceived(encode(Done(one.number)))
        return [one.order for one in done]

    def signalProcess(self, signal: Any) -> None:
        self.signals.append(signal)

    def die(self) -> None:
        self.protocol.processEnded(Failure(ProcessTerminated(signal=9)))


class FakePort:
    """Stands where a DnsPort would."""

    def __init__(self, place: HostPort) -> None:
        self.place = place
        self.released = False

    def release(self) -> None:
        self.released = True


class PoolTests(SynchronousTestCase):
    """`Pool`, with two workers."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.settings = build(
            DnsSettings,
            {
                "zone": ZoneName.parse("nt.test"),
                "state": Path(self.mktemp()),
                "listen_dns": (HostPort("127.0.0.1", 0),),
                "workers": 2,
            },
        )
        seconds = self.reactor.seconds
        self.table = ChallengeTable(self.settings.challenge_seconds)
        self.answering = Answering(
            self.reactor, self.settings, read_zone(self.settings), self.table, seconds, cookie_root=ROOT
        )
        self.stand_ins: list[FakePort] = []
        self.patch(self.answering, "stand_in_on", self.stand_in)
        self.processes: list[FakeProcess] = []
        self.refusal: OSError | None = None
        self.pool = Pool(self.reactor, self.settings, self.answering, seconds, self.spawn)
        self.challenges = ChallengesInWorkers(ChallengesInMemory(self.table, seconds), self.pool)
        self.pool.start()
        self.addCleanup(self.stop)

    def spawn(self, worker: WorkerProcess, sockets: list[DnsSockets]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.processes.append(FakeProcess(worker))

    def stand_in(self, sockets: DnsSockets) -> DnsPort:
        self.stand_ins.append(FakePort(sockets.place))
        return self.stand_ins[-1]

    def stop(self) -> None:
        stopped = Deferred.fromCoroutine(self.pool.stop())
        for process in self.processes:
            if not process.protocol.has_ended:
                process.die()
        self.successResultOf(stopped)

    def started(self) -> list[FakeProcess]:
        """Both workers, which answer."""
        self.reactor.advance(0)
        for process in self.processes:
            process.do()
        return self.processes

    def test_start(self) -> None:
        """Workers are started when the reactor runs, and told all; until each is ready the parent answers for it."""
        self.assertEqual((len(self.processes), len(self.stand_ins)), (0, 2))
        self.table.add(CHALLENGE, self.reactor.seconds())
        self.reactor.advance(1)
        first, second = self.processes
        (start,) = first.do()
        assert isinstance(start, Start)
        self.assertEqual(settings_from_bytes(DnsSettings, start.settings), self.settings)
        self.assertEqual(zone_from_image(start.zone), self.answering.responder.authority.zone)
        self.assertEqual(start.challenges, [(CHALLENGE, self.settings.challenge_seconds - 1)])
        self.assertEqual((start.cookie_root, start.lists), (ROOT, lists_image(NO_LISTS)))
        self.assertEqual(start.places, [str(place) for place in self.pool.places])
        self.assertEqual([port.released for port in self.stand_ins], [True, False])
        second.do()
        self.assertEqual([port.released for port in self.stand_ins], [True, True])

    def test_a_challenge_is_everywhere(self) -> None:
        """`add` returns when every worker has it; one that dies meanwhile gets it with its start."""
        first, second = self.started()
        added = Deferred.fromCoroutine(self.challenges.add(CHALLENGE))
        self.assertEqual(first.do(), [AddChallenge(CHALLENGE)])
        self.assertNoResult(added)
        second.die()
        self.successResultOf(added)
        self.reactor.advance(0)
        (start,) = self.processes[2].do()
        self.assertEqual(start.challenges, [(CHALLENGE, self.settings.challenge_seconds)])

    def test_a_challenge_while_one_starts(self) -> None:
        """A worker that has not started yet must have the challenge too before `add` returns."""
        self.reactor.advance(0)
        first, second = self.processes
        first.do()
        added = Deferred.fromCoroutine(self.challenges.add(CHALLENGE))
        first.do()
        second.do(1)
        self.assertNoResult(added)
        second.do()
        self.successResultOf(added)

    def test_replaced(self) -> None:
        """The parent answers for a worker that died until the next one is ready; replaced at once, then more slowly."""
        self.started()
        delays = []
        for _ in range(9):
            self.processes[-1].die()
            self.assertFalse(self.stand_ins[-1].released)
            (call,) = [one for one in self.reactor.getDelayedCalls() if one.func.__name__ == "_fill"]
            delays.append(call.getTime() - self.reactor.seconds())
            self.reactor.advance(delays[-1])
            self.processes[-1].do()
            self.assertTrue(self.stand_ins[-1].released)
        self.assertEqual(delays[:4], [0, FIRST_DELAY_SECONDS, 2 * FIRST_DELAY_SECONDS, 4 * FIRST_DELAY_SECONDS])
        self.assertEqual(delays[-1], MAX_DELAY_SECONDS)
        self.reactor.advance(LONG_LIFE_SECONDS)
        count = len(self.processes)
        self.processes[-1].die()
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), count + 1)

    def test_lists(self) -> None:
        """A changed list is in force here and in every worker at once; one that starts later has it from the start."""
        first, second = self.started()
        lists = Lists(
            Entries(PrefixSet([ip_network("192.0.2.0/24")])), Entries(PrefixSet([ip_network("2001:db8::/32")]))
        )
        self.pool.replace_lists(lists)
        self.assertEqual(self.answering.lists, lists)
        self.assertEqual([first.do(), second.do()], [[ReplaceLists(lists_image(lists))]] * 2)
        first.die()
        self.reactor.advance(0)
        (start,) = self.processes[2].do()
        self.assertEqual(lists_from_image(start.lists).denied.prefixes.networks, lists.denied.prefixes.networks)
        self.assertEqual(lists_from_image(start.lists).allowed.prefixes.networks, lists.allowed.prefixes.networks)

    def test_cannot_be_started(self) -> None:
        """Where the system has no process to give, the parent goes on answering, and asks again later."""
        self.refusal = OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.reactor.advance(0)
        self.assertEqual([port.released for port in self.stand_ins], [False, False])
        self.successResultOf(Deferred.fromCoroutine(self.challenges.add(CHALLENGE)))
        self.refusal = None
        self.reactor.advance(FIRST_DELAY_SECONDS)
        for process in self.processes:
            process.do()
        self.assertEqual([port.released for port in self.stand_ins], [True, True])

    def test_nobody_can_stand_in(self) -> None:
        """Where the parent has no descriptors left, a worker that dies is replaced all the same, and no order hangs."""
        first, second = self.started()

        def fail(sockets: DnsSockets) -> DnsPort:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(self.answering, "stand_in_on", fail)
        added = Deferred.fromCoroutine(self.challenges.add(CHALLENGE))
        first.do()
        second.die()
        self.successResultOf(added)
        self.reactor.advance(0)
        self.assertEqual(len(self.processes), 3)

    def test_hung_while_orders_come(self) -> None:
        """New orders do not put off the end of a worker that does not carry out the first."""
        first, second = self.started()
        for _ in range(2):
            self.pool.tell_all(AddChallenge(CHALLENGE))
            first.do()
            self.reactor.advance(ORDER_SECONDS / 2)
        self.assertEqual((first.signals, len(second.signals)), ([], 1))

    def test_none_is_started_while_all_stop(self) -> None:
        """A worker that was to be replaced is not, when the server stops meanwhile."""
        first, second = self.started()
        first.die()
        stopped = Deferred.fromCoroutine(self.pool.stop())
        self.reactor.advance(FIRST_DELAY_SECONDS)
        second.die()
        self.successResultOf(stopped)
        self.assertEqual(len(self.processes), 2)

    def test_disobedient(self) -> None:
        """A worker that does not do as it is told, or talks nonsense, is killed."""
        first, second = self.started()
        added = Deferred.fromCoroutine(self.challenges.add(CHALLENGE))
        first.do()
        self.reactor.advance(ORDER_SECONDS)
        self.assertEqual((first.signals, len(second.signals)), ([], 1))
        second.die()
        self.successResultOf(added)
        first.protocol.outReceived(b"\xff" * 20)
        self.assertEqual(len(first.signals), 1)

    def test_zone(self) -> None:
        """A new zone goes to everyone, and to those that start later."""
        first, second = self.started()
        zone = read_zone(self.settings)
        self.pool.replace_zone(zone)
        for process in (first, second):
            (order,) = process.do()
            assert isinstance(order, ReplaceZone)
            self.assertEqual(zone_from_image(order.zone), zone)

    def test_counters(self) -> None:
        """What the workers count adds up, over those that have died too."""
        first, second = self.started()
        first.protocol.outReceived(encode(Counted({"answered": 5, "dropped": 1})))
        first.die()
        second.protocol.outReceived(encode(Counted({"answered": 7})))
        counters = self.answering.responder.counters
        self.assertEqual((counters.answered, counters.dropped), (12, 1))

    def test_stop(self) -> None:
        """Workers are told to stop, killed if they do not, and not replaced."""
        first, second = self.started()
        stopped = Deferred.fromCoroutine(self.pool.stop())
        self.assertEqual([process.do() for process in (first, second)], [[Stop()], [Stop()]])
        first.die()
        self.reactor.advance(STOP_SECONDS)
        self.assertEqual((first.signals, len(second.signals)), ([], 1))
        second.die()
        self.successResultOf(stopped)
        self.reactor.advance(MAX_DELAY_SECONDS)
        self.assertEqual(len(self.processes), 2)
