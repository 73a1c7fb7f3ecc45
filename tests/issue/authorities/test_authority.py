"""One CA, before anything is ordered there."""

from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from nodetrust.acme import AcmeUnreachable
from nodetrust.issue.authorities.authority import Authority
from nodetrust.issue.settings import CaSettings
from nodetrust.store import StoredAccount, StoredTrouble

DIRECTORY = "https://ca.example/dir"


class FakeClient:
    """Has a directory, or does not."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.asked = 0
        self.failure: Exception | None = None

    async def directory(self, deadline: Any) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure


class FakeStore:
    """Knows of one CA's trouble."""

    def __init__(self, *, paused_until: datetime | None = None) -> None:
        self._paused_until = paused_until

    async def trouble(self, directory_url: str) -> StoredTrouble | None:
        if self._paused_until is None:
            return None
        return StoredTrouble(directory_url, 1, self._paused_until, "it was out of order")


async def authority(client: Any, store: Any = None) -> Authority:
    """With what the store says of it."""
    one = Authority(CaSettings(directory=DIRECTORY), client, StoredAccount(DIRECTORY, b""), store or FakeStore())
    await one.recall()
    return one


class GreetTests(TestCase):
    """The directory is fetched ahead of the first order."""

    async def test_greeted(self) -> None:
        """Once, and nothing is said of it."""
        client = FakeClient()
        with capturedLogs() as logs:
            await (await authority(client)).greet()
        self.assertEqual((client.asked, logs), (1, []))

    async def test_out_of_order(self) -> None:
        """One line for whoever runs the issue server; there is no pause, for nothing has been ordered."""
        client = FakeClient()
        client.failure = AcmeUnreachable("nobody listens there")
        one = await authority(client)
        with capturedLogs() as logs:
            await one.greet()
        (text,) = [formatEvent(event) for event in logs]
        self.assertIn(f"{DIRECTORY} was asked for its directory: nobody listens there", text)
        self.assertEqual(one.seconds_to_wait(client.clock.seconds()), 0.0)

    async def test_left_alone(self) -> None:
        """A CA that an earlier life, or another server, has left alone for a while is so by this one, too."""
        client = FakeClient()
        now = datetime.fromtimestamp(client.clock.seconds(), UTC)
        for minutes, asked in ((1, 0), (-1, 1)):
            await (await authority(client, FakeStore(paused_until=now + timedelta(minutes=minutes)))).greet()
            self.assertEqual(client.asked, asked)
