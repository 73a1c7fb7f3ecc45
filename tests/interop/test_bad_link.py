"""A client at the end of a bad link: packets are lost both ways, and a modem's worth of bits comes through."""

import re
from pathlib import Path
from time import monotonic

from twisted.internet.defer import Deferred

from tests.interop import toolchain
from tests.interop.forge import NAME_SERVER, Forge
from tests.interop.harness import InteropTestCase
from tests.namespaces import Hosts

RATE = ("tbf", "rate", "256kbit", "burst", "4kb", "latency", "400ms")

LOSS = """
table inet bad {
  chain in {
    type filter hook input priority 0; policy accept;
    iifname "eth0" numgen random mod 100 < %(percent)d counter drop
  }
  chain out {
    type filter hook output priority 0; policy accept;
    oifname "eth0" numgen random mod 100 < %(percent)d counter drop
  }
}
"""


ANNOUNCED_SECONDS = 300.0


class BadLinkTests(InteropTestCase):
    """From the start of the client to a certificate, and an address that the issue server has reached."""

    timeout = 700

    def setUp(self) -> None:
        super().setUp()
        toolchain.require_router()

    async def obtain(self, percent: int, seconds: float) -> None:
        """The certificate is there in so many seconds though so many packets in a hundred are lost."""
        forge = Forge(Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(forge.stop()))
        issuer = await forge.start_issue_server(self.tools.pebble)
        self.spoil(forge.hosts, percent)
        began = monotonic()
        client = forge.twistd(
            "client",
            "node",
            issuer=[issuer],
            wss_listen=["/ip4/0.0.0.0/tcp/4443/tls/ws"],
            map_ports=False,
            nameserver=NAME_SERVER,
            trust_file=str(forge.folder / "root.pem"),
        )
        await client.logged("(certificate for)", seconds)
        obtained = monotonic()
        await client.logged(r"WSS at (\S+)", ANNOUNCED_SECONDS)
        reached = monotonic()
        self.assertNotIn("Traceback", client.printed())
        lost = [int(packets) for packets in re.findall(r"counter packets (\d+)", self.rules(forge.hosts))]
        self.assertGreater(sum(lost), 0)  # one in ten thousand times a tenth of so few packets is none
        print(
            f"{percent} % lost ({lost[0]} packets in, {lost[1]} out): a certificate after {obtained - began:.1f} s, "
            f"announced after {reached - began:.1f} s"
        )

    @staticmethod
    def spoil(hosts: Hosts, percent: int) -> None:
        """From now on the node's link is bad."""
        hosts.must("node", "nft", LOSS % {"percent": percent})
        for which, device in (("node", "eth0"), ("servers", "node")):
            hosts.must(which, "tc", "qdisc", "add", "dev", device, "root", *RATE)

    @staticmethod
    def rules(hosts: Hosts) -> str:
        """With how many packets each has dropped."""
        return hosts.must("node", "nft", "list", "ruleset")

    async def test_a_tenth(self) -> None:
        """A minute is more than enough."""
        await self.obtain(10, 60)

    async def test_three_tenths(self) -> None:
        """Connections fail before they are made, and are made anew."""
        await self.obtain(30, 300)
