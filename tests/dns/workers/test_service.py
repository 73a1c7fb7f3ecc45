"""A server with two workers, on loopback: real processes, asked over UDP and TCP."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from nodetrust.dns.challenges.dns01 import ChallengesInMemory
from nodetrust.dns.challenges.table import Challenge
from nodetrust.dns.records import parse_name
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.workers.pool import ChallengesInWorkers, Pool
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.settings import HostPort, ZoneName, build
from tests.dns.fast.test_path import message, question
from tests.dns.test_service import deferred

FQDN = "ip41-2-3-4.nt.test"
VALUE = b"v" * 43
QUESTIONS = 24
"""From as many ports; that all of them reach the same one of two workers does not happen."""

A_QUERY = message(question(FQDN.encode(), 1))
TXT_QUERY = message(question(b"_acme-challenge." + FQDN.encode(), 16))


def ask_udp(place: tuple[str, int], query: bytes) -> list[bytes]:
    """The answers to one query from many ports."""
    answers = []
    for _ in range(QUESTIONS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(query, place)
            answers.append(client.recv(4096))
    return answers


def ask_tcp(place: tuple[str, int], query: bytes) -> list[bytes]:
    """The same over TCP."""
    answers = []
    for _ in range(QUESTIONS):
        with socket.create_connection(place, 10) as client:
            client.sendall(len(query).to_bytes(2, "big") + query)
            answers.append(client.recv(4096)[2:])
    return answers


class WorkersTests(TestCase):
    """`workers = 2`."""

    timeout = 300

    async def started(self, **changes: Any) -> tuple[DnsService, Pool, tuple[str, int]]:
        values: dict[str, Any] = {
            "zone": ZoneName.parse("nt.test"),
            "state": Path(self.mktemp()),
            "listen": (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),),
            "listen_dns": (HostPort("127.0.0.1", 0),),
            "workers": 2,
        }
        service = DnsService(reactor, build(DnsSettings, values | changes))
        self.addCleanup(lambda: Deferred.fromCoroutine(service.stop()))
        await service.start()
        pool = service._pool
        assert pool is not None
        host, _, port = service.places[0].rpartition(":")
        return service, pool, (host, int(port))

    async def until(self, condition: Any) -> None:
        """Wait for what another process does."""
        while not condition():
            await deferLater(reactor, 0.01, lambda: None)

    def answering_pids(self, pool: Pool) -> set[int | None]:
        """Of the workers from which the parent has taken its hands."""
        return {seat.worker.pid for seat in pool._seats if seat.worker is not None and not seat._stand_ins}

    @deferred
    async def test_answers_alike(self) -> None:
        """Answers come from the first moment on; a challenge is everywhere when `add` returns, also after a kill."""
        service, pool, place = await self.started()
        at_once = await deferToThread(ask_udp, place, A_QUERY)
        await self.until(lambda: len(self.answering_pids(pool)) == 2)
        for ask in (ask_udp, ask_tcp):
            answers = await deferToThread(ask, place, A_QUERY)
            self.assertEqual(set(answers), set(at_once))
            self.assertTrue(answers[0].endswith(b"\1\2\3\4"))
        challenges = ChallengesInWorkers(ChallengesInMemory(pool.answering.table, service.seconds), pool)
        challenge = Challenge(parse_name(FQDN), VALUE)
        await challenges.add(challenge)
        found = await deferToThread(ask_udp, place, TXT_QUERY)
        self.assertEqual([VALUE in answer for answer in found], [True] * QUESTIONS)
        victim = min(pid for pid in self.answering_pids(pool) if pid is not None)
        os.kill(victim, signal.SIGKILL)
        found = await deferToThread(ask_udp, place, TXT_QUERY)
        self.assertEqual([VALUE in answer for answer in found], [True] * QUESTIONS)
        await self.until(lambda: len(self.answering_pids(pool) - {victim}) == 2)
        found = await deferToThread(ask_tcp, place, TXT_QUERY)
        self.assertEqual([VALUE in answer for answer in found], [True] * QUESTIONS)
        await challenges.remove(challenge)
        found = await deferToThread(ask_udp, place, TXT_QUERY)
        self.assertEqual([VALUE in answer for answer in found], [False] * QUESTIONS)

    @deferred
    async def test_stopped_and_counted(self) -> None:
        """After the stop all that was answered is counted, no worker is left, and the port is free."""
        service, pool, place = await self.started()
        await self.until(lambda: len(self.answering_pids(pool)) == 2)
        pids = self.answering_pids(pool)
        await deferToThread(ask_udp, place, A_QUERY)
        await service.stop()
        self.assertEqual(pool.answering.responder.counters.answered, QUESTIONS)
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(place)
