"""The store killed, or refused by the disk, at each system call that changes its files: strace does it."""

import subprocess
import sys
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.interop import toolchain
from tests.store.contract_kill import STEPS, WRITER, steps_done
from tests.store.examples import ME, NOW, StoreCase
from tests.store.processes import ENVIRONMENT, PRELUDE

CHANGES = "pwrite64,write,fdatasync,fsync,ftruncate,unlink"
"""What changes a file, of all that SQLite calls."""

MOST_CALLS = 200
"""An order has some forty."""

ORDERS = 40

STUBBORN_WRITER = (
    PRELUDE
    + f"""
async def insist(step):
    for _ in range(20):
        try:
            return await step()
        except OrderIsOpen as error:
            return error.order
        except StoreError as error:
            print("refused:", error)
    raise AssertionError("refused for ever")

async def main():
    store = await Store.open(reactor, sys.argv[1])
    await insist(lambda: store.enter(ME, b"epoch", NOW))
    for number in range({ORDERS}):
        name = b"%d" % number
        await insist(lambda: store.use_proofs([name], later(60), NOW))
        order = await insist(lambda: store.open_order(request(number), CA, [draw(str(number), 1)], b"epoch", NOW))
        await insist(lambda: store.note_placing(order.id))
        await insist(lambda: store.note_placed(order.id, "https://ca.example/order"))
        await insist(lambda: store.note_records(order.id, [("a", "b")]))
        await insist(lambda: store.settle_order(order.id, certificate(peer_id=name), [], NOW))
        await insist(lambda: store.forget_order(order.id))
    print("done")
    await store.close()

run(main())
"""
)


class SyscallTests(StoreCase, TestCase):
    """A writer in a process of its own."""

    timeout = 600

    def setUp(self) -> None:
        """A store whose tables are there."""
        toolchain.require_strace()
        self.path = Path(self.mktemp()).absolute()
        self.url = f"sqlite:///{self.path}"

    async def test_killed_at_each_call(self) -> None:
        """After every single one the store is whole, and at most one step further than what was acknowledged."""
        await (await self.opened()).close()
        for call in range(1, MOST_CALLS):
            said = await deferToThread(self.write, WRITER, f"signal=SIGKILL:when={call}", "0")
            if len(said) > len(STEPS):
                break
            store = await self.opened()
            await store.enter(ME, b"next", NOW)
            found = await steps_done(store, 0)
            self.assertIn(found - len(said), (0, 1), f"killed at call {call} after {said} it is at {found}")
            await store.close()
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink()
            await (await self.opened()).close()
        self.assertGreater(call, 3 * len(STEPS))

    async def test_refused_now_and_then(self) -> None:
        """A disk that is full, fails or takes nothing at some calls: every step is taken in the end, and is there."""
        # Calls are counted in each thread; opening has its own, and some ten calls; a step has up to thirty.
        for error, when in (("ENOSPC", "30+31"), ("EIO", "30+37"), ("EROFS", "30+41"), ("EIO", "30+43")):
            self.url = f"sqlite:///{self.path}-{error}-{when}"
            await (await self.opened()).close()
            said = await deferToThread(self.write, STUBBORN_WRITER, f"error={error}:when={when}")
            self.assertEqual(said[-1:], ["done"])
            self.assertGreater(len(said), ORDERS / 2)
            store = await self.opened()
            for number in range(ORDERS):
                self.assertEqual(await steps_done(store, number), len(STEPS))

    def write(self, script: str, fault: str, *arguments: str) -> list[str]:
        """What the writer says with this fault, until it ends."""
        path = self.url.removeprefix("sqlite:///")
        ours = [f"--trace-path={path}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]
        strace = ["strace", "-f", "-qq", "--output=/dev/null", *ours, f"--inject={CHANGES}:{fault}"]
        command = [*strace, sys.executable, "-c", script, self.url, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False)
        if ended.stderr:
            raise AssertionError(ended.stderr)
        return ended.stdout.split("\n")[:-1]
