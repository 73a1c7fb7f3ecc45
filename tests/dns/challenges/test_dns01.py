"""The dns-01 protocol: requests in, responses out, and what the server then answers."""

from collections import deque
from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.dns01 import ChallengesInMemory, Dns01
from nodetrust.dns.challenges.rights import Rights
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import Responder
from nodetrust.libp2p.errors import StreamEnded
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import (
    E_NOT_AUTHORIZED,
    E_OTHER,
    E_RATE_LIMIT,
    MAX_DNS01_RESPONSE_BYTES,
    OK,
    DNS01Request,
    DNS01Response,
)
from tests.dns.challenges.test_rights import VALUE
from tests.dns.example import ask, authority, rows

ADMIN = PrivateKey.from_seed(b"a" * 32).peer_id
CONFINED = PrivateKey.from_seed(b"c" * 32).peer_id
STRANGER = PrivateKey.from_seed(b"s" * 32).peer_id
FQDN = "ip41-2-3-4.nt.test"


class FakeStream:
    """A MessageStream whose messages are all there already."""

    def __init__(self, peer: object, *messages: bytes) -> None:
        self.connection = SimpleNamespace(remote_peer=peer)
        self.messages = deque(messages)
        self.written: list[bytes] = []
        self.closed = False

    @property
    def has_unread(self) -> bool:
        return bool(self.messages)

    async def read(self) -> bytes:
        if not self.messages:
            raise StreamEnded("the remote side ended the stream")
        return self.messages.popleft()

    def write(self, message: bytes) -> None:
        self.written.append(message)

    def close(self) -> None:
        self.closed = True


class SlowDisk:
    """Challenges that are done when the test says so."""

    def __init__(self, inner: ChallengesInMemory) -> None:
        self.inner = inner
        self.waiting: list[Deferred[None]] = []

    def work(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)

    async def add(self, challenge: Challenge) -> None:
        self.waiting.append(Deferred())
        await self.waiting[-1]
        await self.inner.add(challenge)

    async def remove(self, challenge: Challenge) -> None:
        self.waiting.append(Deferred())
        await self.waiting[-1]
        await self.inner.remove(challenge)


class Dns01Tests(SynchronousTestCase):
    """`Dns01` with a table in memory."""

    def setUp(self) -> None:
        self.table = ChallengeTable(600)
        self.world = authority(self.table)
        challenges = ChallengesInMemory(self.table, lambda: 5.0)
        rights = Rights(
            frozenset({ADMIN, CONFINED}), {CONFINED: (parse_name(FQDN),)}, frozenset({parse_name("issue.nt.test")})
        )
        self.dns01 = Dns01(Responder(self.world, lambda: 5.0), challenges, rights)

    def talk(self, peer: object, *messages: bytes) -> tuple[list[DNS01Response], FakeStream]:
        """The responses on one stream, which must have been closed."""
        stream = FakeStream(peer, *messages)
        self.successResultOf(Deferred.fromCoroutine(self.dns01.serve(stream)))
        self.assertTrue(stream.closed)
        self.assertTrue(all(len(message) <= MAX_DNS01_RESPONSE_BYTES for message in stream.written))
        return [DNS01Response.FromString(message) for message in stream.written], stream

    def values(self, fqdn: str = FQDN) -> list[str]:
        return [row.split('"')[1] for row in rows(ask(self.world, f"_acme-challenge.{fqdn}", "TXT", now=5.0).answer)]

    def test_ok_means_answered(self) -> None:
        """Several requests on one stream are answered in order; after OK the values are in the DNS, side by side."""
        other = VALUE[::-1]
        responses, _ = self.talk(
            ADMIN,
            DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString(),
            DNS01Request(fqdn="www.example.org", value=VALUE).SerializeToString(),
            DNS01Request(fqdn=FQDN, value=other).SerializeToString(),
        )
        self.assertEqual([response.error for response in responses], [OK, E_OTHER, OK])
        self.assertEqual(responses[1].message, "www.example.org is not in zone nt.test")
        self.assertEqual(self.values(), [other, VALUE])

    def test_removed(self) -> None:
        """A value that is removed is no longer answered; the others stay."""
        responses, _ = self.talk(
            ADMIN,
            DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString(),
            DNS01Request(fqdn=FQDN, value="a" * 43).SerializeToString(),
            DNS01Request(fqdn=FQDN, value=VALUE, remove=True).SerializeToString(),
        )
        self.assertEqual([response.error for response in responses], [OK, OK, OK])
        self.assertEqual(self.values(), ["a" * 43])

    def test_together(self) -> None:
        """What comes together goes to the disk together; one that is set and removed is so one after the other."""
        disk = SlowDisk(ChallengesInMemory(self.table, lambda: 5.0))
        self.dns01._challenges = disk
        requests = [DNS01Request(fqdn=FQDN, value=letter * 43) for letter in "abc"]
        requests += [DNS01Request(fqdn=FQDN, value="a" * 43, remove=True), DNS01Request(fqdn="x", value="")]
        stream = FakeStream(ADMIN, *(request.SerializeToString() for request in requests))
        served = Deferred.fromCoroutine(self.dns01.serve(stream))
        for expected in (3, 1):
            self.assertEqual(len(disk.waiting), expected)
            self.assertEqual(stream.written, [])
            disk.work()
        self.successResultOf(served)
        errors = [DNS01Response.FromString(message).error for message in stream.written]
        self.assertEqual(errors, [OK, OK, OK, OK, E_OTHER])
        self.assertEqual(self.values(), ["c" * 43, "b" * 43])

    def test_strangers(self) -> None:
        """A peer that is not an admin gets E_NOT_AUTHORIZED, whatever it sends, and the stream is closed."""
        for message in (DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString(), b"garbage"):
            responses, stream = self.talk(STRANGER, message, message)
            self.assertEqual([response.error for response in responses], [E_NOT_AUTHORIZED])
            self.assertEqual(len(stream.messages), 1)
        self.assertEqual(self.values(), [])

    def test_scopes(self) -> None:
        """An admin asks for a name outside its scope: as a stranger would, but the operator hears of it."""
        inside, outside = (DNS01Request(fqdn=f"{label}.nt.test", value=VALUE) for label in ("ip41-2-3-4", "ip41-2-3-5"))
        with capturedLogs() as logs:
            responses, _ = self.talk(CONFINED, *(one.SerializeToString() for one in (inside, outside, inside)))
        self.assertEqual([response.error for response in responses], [OK, E_NOT_AUTHORIZED])
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.info, LogLevel.warn])
        self.assertTrue(all(event["caller"] == str(CONFINED) for event in logs))
        self.assertEqual((self.values(), self.values("ip41-2-3-5.nt.test")), ([VALUE], []))

    def test_further_names(self) -> None:
        """The operator's own names are answered like the others."""
        (response,), _ = self.talk(ADMIN, DNS01Request(fqdn="issue.nt.test", value=VALUE).SerializeToString())
        self.assertEqual((response.error, self.values("issue.nt.test")), (OK, [VALUE]))

    def test_messages_that_do_not_parse(self) -> None:
        """An admin's message that is none is E_OTHER, and the end of the stream: what follows it is not obeyed."""
        good = DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()
        for message in (b"", b"\xff", b"\x0a\x05ab", good[:-2]):
            responses, _ = self.talk(ADMIN, message, good)
            self.assertEqual([response.error for response in responses], [E_OTHER])
        self.assertEqual(self.values(), [])

    def test_names_that_are_none(self) -> None:
        """A request for what is no name is E_OTHER, and the next one counts."""
        good = DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()
        responses, _ = self.talk(ADMIN, DNS01Request(fqdn="\0" * 1900, value="").SerializeToString(), good)
        self.assertEqual([response.error for response in responses], [E_OTHER, OK])

    def test_what_the_zone_file_hides(self) -> None:
        """A challenge that the zone file's own records would hide is refused and not kept."""
        for fqdn in ("ip41-2-3-4.sub.nt.test", "ip48-8-8-8.nt.test"):
            (response,), _ = self.talk(ADMIN, DNS01Request(fqdn=fqdn, value=VALUE).SerializeToString())
            self.assertEqual(response.error, E_OTHER)
            self.assertEqual(response.message, f"{fqdn}: this server's zone file has other records there")
        self.assertEqual(len(self.table), 0)

    def test_too_many_values(self) -> None:
        """The ninth value of a name is refused in words."""
        requests = [DNS01Request(fqdn=FQDN, value=f"{number}" * 43).SerializeToString() for number in range(9)]
        responses, _ = self.talk(ADMIN, *requests)
        self.assertEqual([response.error for response in responses], [OK] * 8 + [E_RATE_LIMIT])
        self.assertEqual(len(self.values()), 8)
