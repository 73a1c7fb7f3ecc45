"""All workers: started, kept alike, replaced when they die, counted together, stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nodetrust.dns.answering import Answering
from nodetrust.dns.challenges.dns01 import Challenges
from nodetrust.dns.challenges.table import Challenge
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.transport.ports import DnsPort
from nodetrust.dns.transport.sockets import DnsSockets, open_sockets
from nodetrust.dns.workers.messages import (
    AddChallenge,
    Order,
    RemoveChallenge,
    ReplaceLists,
    ReplaceZone,
    Start,
    lists_image,
    zone_image,
)
from nodetrust.dns.workers.process import FIRST_DESCRIPTOR, WorkerProcess
from nodetrust.dns.zone.zone import Zone
from nodetrust.lists.lists import Lists
from nodetrust.settings import HostPort, settings_to_bytes

FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 0.5, 30.0
"""Between the ends of workers that never lived long: doubled from the one to the other."""

LONG_LIFE_SECONDS = 60.0
"""A worker that lived so long is replaced at once."""

STOP_SECONDS = 5.0
"""How long workers may take to end before they are killed."""

SpawnWorker = Callable[[WorkerProcess, Sequence[DnsSockets]], None]


class Seat:
    """The sockets of one worker, and who answers on them: the worker, or while there is none the parent itself."""

    log = Logger()

    def __init__(self, pool: Pool, sockets: Sequence[DnsSockets]) -> None:
        self._pool = pool
        self._sockets = sockets
        self._stand_ins: list[DnsPort] = []
        self._delay_seconds = 0.0
        self._started_at = 0.0
        self._next: IDelayedCall | None = None
        self.worker: WorkerProcess | None = None

    def fill_soon(self) -> None:
        """Start a worker when the reactor runs: until then the process may have rights that are not for workers."""
        self._next = self._pool.reactor.callLater(self._delay_seconds, self._fill)

    def fill_no_more(self) -> None:
        """Start no other worker here."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _fill(self) -> None:
        """It takes over from the parent when it is ready."""
        pool = self._pool
        self._next = None
        self._started_at = pool.reactor.seconds()
        worker = WorkerProcess(pool.reactor, pool.count, self._ended)
        try:
            pool.spawn(worker, self._sockets)
        except OSError as error:  # no memory, processes or descriptors left, which may pass
            self.log.error("a DNS worker cannot be started: {reason}", reason=error.strerror)
            self._fill_again()
            return
        self.worker = worker
        ready = worker.order(pool.start_order(self._sockets))
        ready.addCallback(lambda _: self._ready(worker))

    def stand_in(self) -> None:
        """Let the parent answer here. Raises OSError, having done what it could, where no descriptors are left."""
        for one in self._sockets[len(self._stand_ins) :]:
            self._stand_ins.append(self._pool.answering.stand_in_on(one))

    async def close(self) -> None:
        """Let go of the sockets; nobody answers on them any more."""
        self._release()
        for one in self._sockets:
            one.close()

    def _ready(self, worker: WorkerProcess) -> None:
        if worker is self.worker and not worker.has_ended:
            self.log.info("DNS worker {pid} answers", pid=worker.pid)
            self._release()

    def _release(self) -> None:
        stand_ins, self._stand_ins = self._stand_ins, []
        for port in stand_ins:
            port.release()

    def _ended(self, worker: WorkerProcess) -> None:
        self.worker = None
        if self._pool.is_stopping:
            return
        try:
            self.stand_in()
        except OSError as error:  # what arrives waits for the next worker
            self.log.error("nobody stands in for a DNS worker: {reason}", reason=error.strerror)
        if self._pool.reactor.seconds() - self._started_at >= LONG_LIFE_SECONDS:
            self._delay_seconds = 0.0
        self.log.warn("DNS worker {pid} is replaced in {delay} s", pid=worker.pid, delay=self._delay_seconds)
        self._fill_again()

    def _fill_again(self) -> None:
        self.fill_soon()
        self._delay_seconds = min(max(FIRST_DELAY_SECONDS, 2 * self._delay_seconds), MAX_DELAY_SECONDS)


class Pool:
    """The workers of one server. `answering` is the parent's own: it stands in, and its counters count for all."""

    def __init__(
        self,
        reactor: Any,
        settings: DnsSettings,
        answering: Answering,
        seconds: Callable[[], float],
        spawn: SpawnWorker = WorkerProcess.spawn,
    ) -> None:
        self.reactor = reactor
        self.answering = answering
        self.spawn = spawn
        self.is_stopping = False
        self.places: list[HostPort] = []
        self._settings = settings
        self._seconds = seconds
        self._seats: list[Seat] = []

    def start(self) -> None:
        """Bind every address for every worker, answer, and start the workers. Raises CannotBind."""
        bound: list[list[DnsSockets]] = [[] for _ in range(self._settings.workers)]
        try:
            for wanted in self._settings.listen_dns:
                place = wanted if self._settings.share_port else _free(wanted)
                for one in bound:
                    one.append(open_sockets(place, shared=True))
                    place = one[-1].place
                self.places.append(place)
        finally:
            self._seats = [Seat(self, sockets) for sockets in bound]
        for seat in self._seats:
            seat.stand_in()
            seat.fill_soon()

    def start_order(self, sockets: Sequence[DnsSockets]) -> Start:
        """What a worker needs to answer as the others do."""
        return Start(
            settings_to_bytes(self._settings),
            zone_image(self.answering.responder.authority.zone),
            list(self.answering.table.snapshot(self._seconds())),
            [str(one.place) for one in sockets],
            FIRST_DESCRIPTOR,
            self.answering.cookie_root,
            lists_image(self.answering.lists),
        )

    def tell_all(self, order: Order) -> Deferred[Any]:
        """Fires when no worker answers otherwise than by this order."""
        return DeferredList([worker.order(order) for worker in self.workers()])

    def replace_zone(self, zone: Zone) -> None:
        """Answer from another zone."""
        self.answering.replace_zone(zone)
        self.tell_all(ReplaceZone(zone_image(zone)))

    def replace_lists(self, lists: Lists) -> None:
        """Answer by other lists of prefixes, in every process at once."""
        self.answering.replace_lists(lists)
        self.tell_all(ReplaceLists(lists_image(lists)))

    def workers(self) -> Iterator[WorkerProcess]:
        """Those that run."""
        return (seat.worker for seat in self._seats if seat.worker is not None)

    def count(self, growth: dict[str, int]) -> None:
        """Add what a worker has counted."""
        counters = self.answering.responder.counters
        for name, value in growth.items():
            setattr(counters, name, getattr(counters, name) + value)

    async def stop(self) -> None:
        """Let every worker answer what has arrived, and end; then close the sockets."""
        self.is_stopping = True
        for seat in self._seats:
            seat.fill_no_more()
        workers = list(self.workers())
        overdue = [self.reactor.callLater(STOP_SECONDS, worker.kill) for worker in workers]
        await DeferredList([worker.stop() for worker in workers])
        for call in overdue:
            if call.active():
                call.cancel()
        for seat in self._seats:
            await seat.close()
        self._seats = []


class ChallengesInWorkers:
    """Challenges kept as `inner` keeps them, and in every worker."""

    def __init__(self, inner: Challenges, pool: Pool) -> None:
        self._inner = inner
        self._pool = pool

    async def add(self, challenge: Challenge) -> None:
        """Return when every process of this server answers with it; raise ChallengeRefused when there is no room."""
        await self._inner.add(challenge)
        await self._pool.tell_all(AddChallenge(challenge))

    async def remove(self, challenge: Challenge) -> None:
        """Return when no process of this server answers with it."""
        await self._inner.remove(challenge)
        await self._pool.tell_all(RemoveChallenge(challenge))


def _free(wanted: HostPort) -> HostPort:
    """The address, with its actual number, if nobody has it; workers would share it with a second server unnoticed."""
    sockets = open_sockets(wanted)
    sockets.close()
    return sockets.place
