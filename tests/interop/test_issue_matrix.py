"""A hundred orders of a hundred peers, at a CA that makes it as hard as the standard allows.

Pebble is strict, refuses good nonces, takes its time to validate, gives authorizations again or never, and signs over
longer chains than usual.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from nodetrust.client.obtain import Obtained
from tests.interop.harness import InteropTestCase
from tests.interop.roles import Roles

PEERS = 100
ADDRESSES = 40
"""Fewer than peers, so that many orders have a name that was proved before."""

HARD = {"PEBBLE_WFE_NONCEREJECT": "50"}
SLOW = {"PEBBLE_VA_NOSLEEP": "0", "PEBBLE_VA_SLEEPTIME": "3"}


class MatrixTests(InteropTestCase):
    """Every peer gets its certificate, and the CA has one order for each."""

    timeout = 300

    async def issue_to_all(
        self, environment: Mapping[str, str], peers: int = PEERS, addresses: int = ADDRESSES
    ) -> Sequence[Obtained]:
        """So many peers ask at once."""
        roles = Roles(self.tools.pebble, Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(roles.stop()))
        await roles.start_surroundings(pebble_environment=environment)
        roles.issue = await roles.start_issue(orders_per_address=0)
        askers = [roles.asker(f"127.1.0.{number % addresses}") for number in range(peers)]
        obtained = await gatherResults([Deferred.fromCoroutine(asker.ask()) for asker in askers])
        for asker, one in zip(askers, obtained, strict=True):
            self.assertEqual(one.chain.names, asker.names)
            self.assertFalse(one.from_cache)
        return obtained

    async def test_authorizations_are_never_reused(self) -> None:
        """Each name is validated anew, slowly, while half of the nonces are refused."""
        await self.issue_to_all({**HARD, **SLOW, "PEBBLE_AUTHZREUSE": "0"})

    async def test_authorizations_are_always_reused(self) -> None:
        """Orders may be ready from the first on, while half of the nonces are refused."""
        await self.issue_to_all({**HARD, **SLOW, "PEBBLE_AUTHZREUSE": "100"})

    async def test_long_and_alternate_chains(self) -> None:
        """Two intermediates and a second root: the whole default chain reaches the peer."""
        obtained = await self.issue_to_all(
            {**HARD, "PEBBLE_CHAIN_LENGTH": "2", "PEBBLE_ALTERNATE_ROOTS": "1", "PEBBLE_AUTHZREUSE": "50"}
        )
        for one in obtained:
            self.assertEqual(one.chain.authorities_pem.count(b"BEGIN CERTIFICATE"), 2)

    async def test_many_peers_at_one_address(self) -> None:
        """As behind one NAT: orders wait where a DNS server has no room for more challenges of a name."""
        await self.issue_to_all({**SLOW, "PEBBLE_AUTHZREUSE": "0"}, peers=25, addresses=1)
