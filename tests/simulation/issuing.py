"""An issue server with its store and its rules on a simulated machine: all that is ours is real but the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.issue.authorities.authority as authority_module
import nodetrust.issue.orders.steps as steps_module
import nodetrust.issue.orders.upkeep as server_upkeep
import nodetrust.issue.renewal.windows as windows_module
import nodetrust.store.database as database_module
from nodetrust.issue.evidence.trust import own_keys, trust_in
from nodetrust.issue.orders import Orders
from nodetrust.issue.protocol import IssueProtocol
from nodetrust.issue.renewal.windows import Windows
from nodetrust.issue.service import policy_of
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.settings import ZoneName
from nodetrust.store import Store
from nodetrust.store.lane import Job
from tests.simulation.ca import DIRECTORY, SimulatedCa, SimulatedClient, complete
from tests.simulation.timeline import Machine, Timeline

ZONE = "nt.example.org"
BEGIN = datetime(2026, 11, 22, tzinfo=UTC).timestamp()

SELDOM_SECONDS = 3000.0
"""In place of what the server does every few seconds, to itself: nobody else is there to see it."""


class SynchronousLane:
    """A lane of the store without threads."""

    def __init__(self, reactor: Any, name: str, run: Any, *, threads: int = 1, most_together: int = 1) -> None:
        self._run = run

    def submit(self, work: Any, seconds: float = 0) -> Deferred[Any]:
        job: Job[Any] = Job(work)
        try:
            self._run([job])
        except Exception:
            job.outcome = Failure()
        return fail(job.outcome) if isinstance(job.outcome, Failure) else succeed(job.outcome)

    def close(self) -> Deferred[None]:
        return succeed(None)


class Challenges:
    """DNS servers that take everything."""

    async def publish(self, challenges: Sequence[tuple[str, str]]) -> None:
        """At once."""

    async def withdraw(self, challenges: Sequence[tuple[str, str]]) -> None:
        """At once."""

    def owes(self, challenges: Sequence[tuple[str, str]]) -> bool:
        return False

    def check(self) -> None:
        """All are there."""


class IssueServer:
    """Between `start` and `stop` its `protocol` answers; `places` are addresses at which it would be dialled.

    It trusts the proofs that are signed with `prover`.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        timeline: Timeline,
        ca: SimulatedCa,
        prover: PrivateKey,
        random: Random,
        *,
        proof_places: Sequence[str] = ("/ip4/192.0.2.9/tcp/1",),
        places: Sequence[str] = ("/ip4/192.0.2.9/tcp/1",),
        **ca_settings: Any,
    ) -> None:
        self.timeline = timeline
        self.server = Machine(timeline)
        self.ca = ca
        self.prover = prover
        self.random = random
        self.issuer = PrivateKey.generate()
        self.protocol: IssueProtocol
        self.store: Store
        self.orders: Orders
        self._places = places
        self._proof_places = proof_places
        self._windows: Deferred[None]
        self._ca_settings = ca_settings
        test.patch(database_module, "Lane", SynchronousLane)
        test.patch(authority_module, "open_client", lambda reactor, *_: SimulatedClient(reactor, self.ca))
        test.patch(steps_module, "complete", complete)
        for name in ("BEAT_SECONDS", "LOOK_SECONDS"):
            test.patch(server_upkeep, name, SELDOM_SECONDS)
        test.patch(windows_module, "IDLE_SECONDS", SELDOM_SECONDS)

    @property
    def places(self) -> tuple[Multiaddr, ...]:
        """Where it would be, with its /p2p."""
        return tuple(Multiaddr.parse(place).with_peer_id(self.issuer.peer_id) for place in self._places)

    @property
    def place(self) -> Multiaddr:
        """The first of them."""
        return self.places[0]

    def start(self) -> None:
        """Start the issue server."""
        prover = self.prover.peer_id
        settings = IssueSettings(
            zone=ZoneName(ZONE),
            proof_servers=tuple(Multiaddr.parse(place).with_peer_id(prover) for place in self._proof_places),
            dns_servers=(self.place,),
            ca=(CaSettings(directory=DIRECTORY, **self._ca_settings),),
            agree_to_terms=True,
        )
        settings.check()
        done = Deferred.fromCoroutine(self._start(settings))
        done.addErrback(lambda failure: failure.raiseException())

    async def _start(self, settings: IssueSettings) -> None:
        self.store = await Store.open(self.server, "sqlite://")
        self.orders = await Orders.open(self.server, settings, Challenges(), self.store, self.issuer.peer_id)
        policy = policy_of(settings, self.issuer.peer_id, trust_in(own_keys([self.prover.peer_id])))
        self.protocol = IssueProtocol(self.server, policy, settings.proof_servers, self.orders, self.store)
        windows = Windows(self.server, self.store, self.orders.tools.authorities, self.random.random)
        self._windows = Deferred.fromCoroutine(windows.run())

    def stop(self) -> None:
        """End it."""
        self._windows.addErrback(lambda failure: failure.trap(CancelledError) and None)
        self._windows.cancel()
        Deferred.fromCoroutine(self.orders.give_up())
        self.timeline.run_for(10.0)
        Deferred.fromCoroutine(self.store.close())
