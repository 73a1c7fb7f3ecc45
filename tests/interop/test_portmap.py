"""A port mapped on a real router: miniupnpd over nftables, with connections from outside that arrive or do not."""

from tests.interop import router_compliance
from tests.interop.router import NO_PCP
from tests.interop.router_compliance import changes


class PcpTests(router_compliance.MappedCompliance):
    """A router that speaks everything."""

    protocol = "PCP"
    options = "enable_natpmp=yes"

    def test_known_again(self) -> None:
        """After a crash the mapping is taken up: the router knows its nonce."""
        router = self.make_router(options=self.options)
        router.start_client("3600", "120")
        self.wait_mapped(router, "PCP")
        router.kill_client()
        router.start_client("3600", "120")
        self.wait_mapped(router, "PCP")
        self.assertTrue(router.dial())


class NatPmpTests(router_compliance.MappedCompliance):
    """A router that has never heard of PCP."""

    protocol = "NAT-PMP"
    options = "enable_natpmp=yes"
    rule = NO_PCP


class Upnp2Tests(router_compliance.MappedCompliance):
    """A router that speaks version 2 of UPnP IGD alone."""

    protocol = "UPnP"
    options = "enable_natpmp=no"


class Upnp1Tests(router_compliance.MappedCompliance):
    """A router that speaks version 1 of UPnP IGD alone."""

    protocol = "UPnP"
    options = "enable_natpmp=no\nforce_igd_desc_v1=yes"


class RouterTests(router_compliance.RouterTestCase):
    """What becomes of us beside a router that does not do its part."""

    def test_silent_router(self) -> None:
        """A router that maps nothing is mentioned once; when it begins to, the port is mapped."""
        router = self.make_router()
        router.stop_daemon()
        router.start_client("3600", "2")
        router.wait(lambda: "is not mapped" in router.log("client"), "no mapping is mentioned")
        router.wait(lambda: router.log("client").count("is not mapped") == 2, "and tried for again")
        self.assertEqual(router.log("client").count("Keeper#info] port 4443 is not mapped"), 1)
        router.start_daemon()
        router.wait(router.dial, "the port is mapped")

    def test_router_away_at_stop(self) -> None:
        """A stop does not wait for a router that is gone."""
        for options, protocol in (("enable_natpmp=yes", "PCP"), ("enable_natpmp=no", "UPnP")):
            router = self.make_router(options=options)
            router.start_client("3600", "120")
            self.wait_mapped(router, protocol)
            router.stop_daemon()
            router.drop_lan()
            self.assertLess(router.stop_client(), 5)
            self.assertIn("is left to end by itself", router.log("client"))
            self.assertNotIn("Traceback", router.log("client"))

    def test_refusal(self) -> None:
        """A router that does not allow the port is quoted in words."""
        router = self.make_router(options="enable_natpmp=no\ndeny 0-65535 0.0.0.0/0 0-65535")
        router.start_client("3600", "120")
        router.wait(lambda: "UPnP: it does not allow this" in router.log("client"), "the refusal is told")
        self.assertEqual(changes(router), [])

    def test_carrier_nat(self) -> None:
        """A router that has no public address itself maps nothing, and we say so in its words."""
        router = self.make_router()
        router.change_address("100.64.7.7")
        router.start_client("3600", "120")
        router.wait(lambda: "is not mapped" in router.log("client"), "the refusal is told")
        said = next(line for line in router.log("client").splitlines() if "is not mapped" in line)
        self.assertIn("no connection to the internet", said)
        self.assertEqual(changes(router), [])
