"""A private network: two LANs, each behind a router of its own, and the servers on the backbone that joins them.

    servers ──┬── router1 ── node1      10.1.0.0/24   …:1::/64
              └── router2 ── node2      10.2.0.0/24   …:2::/64

All addresses are private, but that LAN 1 has a global IPv6 prefix besides, as a provider assigns them. Nothing is
translated; every host asks the resolver that stands with the servers.
"""

from tests.namespaces import Hosts, must

PREFIX = "fd5c:9a1e:77b0"
"""Of the whole site: RFC 4193."""

SERVERS = ("172.16.0.10", f"{PREFIX}::10")
"""Where everything is but the zone's own DNS server, the resolver too."""

DNS_SERVER = ("172.16.0.53", f"{PREFIX}::53")
NODES = {number: (f"10.{number}.0.2", f"{PREFIX}:{number}::2") for number in (1, 2)}
GLOBAL = "2a00:4530:1::2"
"""Of the node in LAN 1, besides."""

ROUTERS = {number: (f"172.16.0.{number}", f"{PREFIX}::{number}") for number in (1, 2)}

FIREWALL = """
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" ip6 version 6 reject with icmpv6 admin-prohibited
    iifname "wan" drop
  }
}
"""
"""For a router that lets nothing in: IPv4 packets vanish, and IPv6 ones are sent back."""

NAT = """
table ip nat {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    oifname "wan" masquerade
  }
}
"""
"""For one behind which all have its own IPv4 address."""


class Campus(Hosts):
    """`servers`, `router1` and `node1`, `router2` and `node2`; `rules` are nftables' of the second router."""

    def __init__(self, rules: str = "") -> None:
        super().__init__("servers", "router1", "node1", "router2", "node2")
        self._rules = rules

    def start(self) -> None:
        super().start()
        self.must("servers", "ip", "link", "add", "backbone", "type", "bridge")
        self.give("servers", "backbone", *(f"{one}/24" for one in (SERVERS[0], DNS_SERVER[0])))
        self.give("servers", "backbone", *(f"{one}/64" for one in (SERVERS[1], DNS_SERVER[1])))
        for number in NODES:
            self._join(number)
        for number, other in ((1, 2), (2, 1)):
            self._route(f"router{number}", other)
            self._route("servers", number)
        self.give("node1", "eth0", f"{GLOBAL}/64")
        self.give("router1", "lan", "2a00:4530:1::1/64")
        for which in ("servers", "router2"):
            self.route(which, "2a00:4530:1::/64", ROUTERS[1][1])
        if self._rules:
            must(*self.at("router2", "nft", self._rules))

    def _join(self, number: int) -> None:
        """A router at the backbone, and a LAN with a node behind it."""
        router, node = f"router{number}", f"node{number}"
        self.cable("servers", router, router, "wan")
        self.must("servers", "ip", "link", "set", router, "master", "backbone", "up")
        self.cable(router, "lan", node, "eth0")
        self.give(router, "wan", f"{ROUTERS[number][0]}/24", f"{ROUTERS[number][1]}/64")
        gateways = (f"10.{number}.0.1", f"{PREFIX}:{number}::1")
        for which, device, (ipv4, ipv6) in ((router, "lan", gateways), (node, "eth0", NODES[number])):
            self.give(which, device, f"{ipv4}/24", f"{ipv6}/64")
        for gateway in gateways:
            self.route(node, "default", gateway)
        self.forwards(router)

    def _route(self, which: str, number: int) -> None:
        """To a LAN."""
        for network, gateway in zip((f"10.{number}.0.0/24", f"{PREFIX}:{number}::/64"), ROUTERS[number], strict=True):
            self.route(which, network, gateway)
