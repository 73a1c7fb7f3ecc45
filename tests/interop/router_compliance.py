"""What holds for a port mapped on a real router, whatever protocol maps it."""

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.interop import toolchain
from tests.interop.router import EXTERNAL, OTHER_EXTERNAL, Router

LIFETIME = 8
"""Short enough to wait for the second one."""

EXPIRY_SECONDS = 30.0
"""In which a mapping of that lifetime is gone; miniupnpd looks for expired ones now and then."""


class RouterTestCase(SynchronousTestCase):
    """Makes routers, and looks at what the client says."""

    def setUp(self) -> None:
        toolchain.require_router()

    def make_router(self, **options: str) -> Router:
        """A router that runs until the end of the test."""
        router = Router(Path(self.mktemp()), **options)
        self.addCleanup(router.stop)
        router.start()
        return router

    def wait_mapped(self, router: Router, protocol: str, address: str = EXTERNAL) -> None:
        """Return when the newest word is that the port is mapped so."""
        line = f"MAPPED {protocol} {address}:4443 public"
        router.wait(lambda: changes(router)[-1:] == [line], line)


def changes(router: Router) -> list[str]:
    """What the client was told of its mapping, in lines."""
    return [line for line in router.log("client").splitlines() if line.startswith(("MAPPED", "LOST"))]


class MappedCompliance(RouterTestCase):
    """What holds for a mapping, whatever protocol made it."""

    protocol: str
    options: str
    rule = ""

    def test_mapped_and_removed(self) -> None:
        """TCP from outside arrives at the listener, and no more after SIGTERM, which the removal does not hold up."""
        router = self.make_router(options=self.options, rule=self.rule)
        self.assertFalse(router.dial())
        router.start_client("3600", "120")
        self.wait_mapped(router, self.protocol)
        self.assertTrue(router.dial())
        self.assertLess(router.stop_client(), 3)
        self.assertFalse(router.dial())
        self.assertNotIn("Traceback", router.log("client"))

    def test_renewed(self) -> None:
        """A mapping outlives its lifetime as long as we live, and not when we are killed."""
        router = self.make_router(options=self.options, rule=self.rule)
        router.start_client(str(LIFETIME), "120")
        self.wait_mapped(router, self.protocol)
        until = time.monotonic() + 2.5 * LIFETIME
        while time.monotonic() < until:
            self.assertTrue(router.dial())
            time.sleep(0.5)
        self.assertEqual(len(changes(router)), 1)
        router.kill_client()
        self.assertTrue(router.dial(), "a mapping does not end with its client")
        router.wait(lambda: not router.dial(), "the mapping of a dead client ends", EXPIRY_SECONDS)

    def test_forgotten(self) -> None:
        """A router that has forgotten all is noticed long before the mapping would have been renewed."""
        router = self.make_router(options=self.options, rule=self.rule)
        router.start_client("3600", "3")
        self.wait_mapped(router, self.protocol)
        time.sleep(8)  # a new epoch is told from an old one by its age
        router.stop_daemon()
        self.assertFalse(router.dial())
        router.start_daemon()
        router.wait(router.dial, "the mapping is back")
        self.assertEqual(changes(router), [f"MAPPED {self.protocol} {EXTERNAL}:4443 public"])

    def test_address_changed(self) -> None:
        """Another external address of the router is told, and the port is mapped there."""
        router = self.make_router(options=self.options, rule=self.rule)
        router.start_client("3600", "2")
        self.wait_mapped(router, self.protocol)
        router.change_address()
        self.wait_mapped(router, self.protocol, OTHER_EXTERNAL)
        router.wait(lambda: router.dial(OTHER_EXTERNAL), "the port is mapped at the new address")
