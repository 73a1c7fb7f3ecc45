"""The user's command after a certificate: real processes, for there is nothing else to it."""

import errno
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutput
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

import nodetrust.client.hook as hook_module
from nodetrust.client.hook import Hook

reactor: Any = default_reactor


class HookTests(TestCase):
    """Runs of a shell command."""

    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    async def finished(self, hook: Hook) -> None:
        while hook._process is not None:
            await deferLater(reactor, 0.02)

    async def test_runs_with_the_facts(self) -> None:
        """The variables are there, beside the environment of the client itself."""
        hook = Hook(reactor, f'echo "$NODETRUST_NAMES $PATH" > {self.folder}/out')
        with capturedLogs() as logged:
            hook.run({"NODETRUST_NAMES": "a.example"})
            await self.finished(hook)
        self.assertRegex((self.folder / "out").read_text(), r"^a\.example .*/bin")
        self.assertEqual([event["log_level"] for event in logged], [LogLevel.info])

    async def test_a_failure_is_logged(self) -> None:
        """With the end of what the command printed."""
        hook = Hook(reactor, "echo no such server >&2; exit 3")
        self.addCleanup(hook.stop)
        with capturedLogs() as logged:
            hook.run({})
            await self.finished(hook)
        self.assertEqual(logged[0]["log_level"], LogLevel.error)
        self.assertIn("no such server", formatEvent(logged[0]))

    async def test_a_failure_is_not_the_last_word(self) -> None:
        """It is run again, with ever longer pauses, until it ends well."""
        self.patch(hook_module, "FIRST_PAUSE_SECONDS", 0.1)
        hook = Hook(reactor, f"echo $N >> {self.folder}/out; test $(wc -l < {self.folder}/out) -eq 3")
        with capturedLogs() as logged:
            hook.run({"N": "1"})
            while len(logged) < 5:
                await deferLater(reactor, 0.02)
        self.assertEqual((self.folder / "out").read_text().split(), ["1"] * 3)
        pauses = [event["pause"] for event in logged if "pause" in event]
        self.assertEqual(pauses, [0.1, 0.2])
        self.assertIn("the hook has run", formatEvent(logged[-1]))

    async def test_no_room_for_a_process(self) -> None:
        """Nor is it the last word where the system had none at that moment."""
        self.patch(hook_module, "FIRST_PAUSE_SECONDS", 0.1)
        spawn, room = reactor.spawnProcess, [False, True]

        def spawn_if_room(*arguments: Any, **options: Any) -> Any:
            if not room.pop(0):
                raise OSError(errno.EMFILE, "Too many open files")
            return spawn(*arguments, **options)

        self.patch(reactor, "spawnProcess", spawn_if_room)
        hook = Hook(reactor, "echo at last")
        self.addCleanup(hook.stop)
        with capturedLogs() as logged:
            hook.run({})
            while room or hook._process is not None:
                await deferLater(reactor, 0.02)
        said = [formatEvent(event) for event in logged]
        self.assertEqual(
            (said[0], said[-1]), ("the hook cannot be run: Too many open files", "the hook has run: at last")
        )

    async def test_a_failure_that_is_out_of_date(self) -> None:
        """A newer certificate is all that counts; after a stop nothing does."""
        hook = Hook(reactor, f"echo $N >> {self.folder}/out; exit 1")
        self.addCleanup(hook.stop)
        for number in ("1", "2"):
            hook.run({"N": number})
            await self.finished(hook)
        self.assertEqual((self.folder / "out").read_text().split(), ["1", "2"])
        self.assertEqual(len(reactor.getDelayedCalls()), 2)  # one, beside the test's own limit
        hook.stop()
        self.assertEqual(len(reactor.getDelayedCalls()), 1)

    async def test_one_at_a_time(self) -> None:
        """While it runs, of all further wishes the newest is kept."""
        hook = Hook(reactor, f"sleep 0.2; echo $N >> {self.folder}/out")
        for number in range(4):
            hook.run({"N": str(number)})
        await self.finished(hook)
        self.assertEqual((self.folder / "out").read_text().split(), ["0", "3"])

    async def test_one_that_hangs(self) -> None:
        """It is killed, and said."""
        self.patch(hook_module, "HOOK_SECONDS", 0.2)
        hook = Hook(reactor, "exec sleep 60")
        self.addCleanup(hook.stop)
        with capturedLogs() as logged:
            hook.run({})
            await self.finished(hook)
        self.assertEqual([event["log_level"] for event in logged[:2]], [LogLevel.error, LogLevel.error])
        self.assertIn("not ended within 0.2 seconds", formatEvent(logged[0]))

    async def test_one_that_reads(self) -> None:
        """There is nothing for it to read, and it is told so at once."""
        hook = Hook(reactor, "cat; echo the end")
        with capturedLogs() as logged:
            hook.run({})
            begun = reactor.seconds()
            await self.finished(hook)
        self.assertLess(reactor.seconds() - begun, 10.0)
        self.assertEqual([formatEvent(event) for event in logged], ["the hook has run: the end"])

    async def test_one_that_leaves_something_behind(self) -> None:
        """What it has started holds its output open; the next run comes all the same."""
        self.patch(hook_module, "DRAIN_SECONDS", 0.2)
        hook = Hook(reactor, f"echo $N; echo $N >> {self.folder}/out; sleep 5 &")
        with capturedLogs() as logged:
            hook.run({"N": "1"})
            hook.run({"N": "2"})
            begun = reactor.seconds()
            await self.finished(hook)
        self.assertLess(reactor.seconds() - begun, 4.0)
        self.assertEqual((self.folder / "out").read_text().split(), ["1", "2"])
        self.assertEqual([formatEvent(event) for event in logged], ["the hook has run: 1", "the hook has run: 2"])

    async def test_one_that_hangs_in_a_child(self) -> None:
        """The shell is killed, and what it had started is not waited for."""
        self.patch(hook_module, "HOOK_SECONDS", 0.2)
        self.patch(hook_module, "DRAIN_SECONDS", 0.2)
        hook = Hook(reactor, "sleep 5; true")
        self.addCleanup(hook.stop)
        with capturedLogs() as logged:
            hook.run({})
            begun = reactor.seconds()
            await self.finished(hook)
        self.assertLess(reactor.seconds() - begun, 4.0)
        self.assertEqual(logged[0]["log_level"], LogLevel.error)

    async def test_all_that_it_has_started(self) -> None:
        """What the shell runs is ended with it, also where the shell waits for it."""
        hook = Hook(reactor, f"sleep 61; touch {self.folder}/after")
        hook.run({})
        await deferLater(reactor, 0.5)
        hook.stop()
        await self.finished(hook)
        # On a busy machine it may take a moment to die of the signal, but not as long as it would sleep.
        while b"sleep 61" in (await getProcessOutput("/bin/ps", ["ax", "-o", "args"])).splitlines():
            await deferLater(reactor, 0.02)

    async def test_stop(self) -> None:
        """What runs is ended, and nothing begins any more."""
        hook = Hook(reactor, "exec sleep 60")
        hook.run({})
        hook.run({})
        hook.stop()
        await self.finished(hook)
        self.assertIsNone(hook._next)
