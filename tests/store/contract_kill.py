"""What the store has acknowledged is there after `kill -9`, and what belongs together is there together."""

import subprocess
import sys

from twisted.internet.threads import deferToThread

from nodetrust.quotas import Exhausted
from nodetrust.store import Store, StoredOrder
from tests.store.examples import ME, NAMES, NOW, StoreCase, draw, later
from tests.store.processes import ENVIRONMENT, PRELUDE

STEPS = ("proof", "open", "placing", "placed", "records", "settled", "forgotten")
"""What the writer says after each change."""

WRITER = (
    PRELUDE
    + """
async def main():
    store = await Store.open(reactor, sys.argv[1])
    await store.enter(ME, b"killed", NOW)
    first = int(sys.argv[2])
    for number in range(first, first + 10):
        name = b"%d" % number
        await store.use_proofs([name], later(60), NOW)
        print("proof")
        order = await store.open_order(request(number), CA, [draw(str(number), 1)], b"killed", NOW)
        print("open")
        await store.note_placing(order.id)
        print("placing")
        await store.note_placed(order.id, "https://ca.example/order")
        print("placed")
        await store.note_records(order.id, [("a", "b")])
        print("records")
        await store.settle_order(order.id, certificate(peer_id=name), [], NOW)
        print("settled")
        await store.forget_order(order.id)
        print("forgotten")
    await Deferred()  # until it is killed, which on a busy machine comes late

run(main())
"""
)


class KillContract(StoreCase):
    """A server that is killed in the middle of an order."""

    async def test_killed_after_each_step(self) -> None:
        """The next server finds what the killed one was told, or one step more, and nothing half done."""
        store = await self.opened()
        for number, step in enumerate(STEPS):
            said = await deferToThread(write_and_kill, self.url, 10 * number, number + 1)
            self.assertEqual(said[number], step)
            await store.enter(ME, b"next", NOW)
            for offset in range(10):
                heard = said[len(STEPS) * offset :][: len(STEPS)]
                found = await steps_done(store, 10 * number + offset)
                self.assertIn(found - len(heard), (0, 1), f"after {heard} it is at {found}")


def write_and_kill(url: str, first: int, lines: int) -> list[str]:
    """What a writer says until it is killed: it has said so much by then, or somewhat more."""
    command = [sys.executable, "-c", WRITER, url, str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True) as writer:
        if writer.stdout is None:
            raise AssertionError("it has a pipe")
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        said += writer.stdout.readlines()
    return [line.strip() for line in said if line.endswith("\n")]


async def steps_done(store: Store, number: int) -> int:
    """How many of STEPS are in the store for this order; an AssertionError if one is there without another."""
    name = b"%d" % number
    proof = name in await store.use_proofs([name], later(60), NOW)
    found = [order for order in await store.claim_abandoned(b"next", NOW, 100) if order.request.same[-1] == number]
    order = found[0] if found else None
    kept = await store.newest_for_names(name, NAMES) is not None
    if (order is not None and order.settled) != (kept and order is not None):
        raise AssertionError(f"{order} and its certificate: {kept}")
    if await _is_paid(store, number) != (order is not None or kept):
        raise AssertionError(f"{order} is not what was paid for")
    if kept:
        return STEPS.index("settled") + 1 + (order is None)
    return _steps_of(order) if order is not None else int(proof)


def _steps_of(order: StoredOrder) -> int:
    if order.records:
        return STEPS.index("records") + 1
    if order.order_url is not None:
        return STEPS.index("placed") + 1
    return STEPS.index("placing" if order.placing else "open") + 1


async def _is_paid(store: Store, number: int) -> bool:
    try:
        await store.spend([draw(str(number), 1)], NOW)
    except Exhausted:
        return True
    return False
