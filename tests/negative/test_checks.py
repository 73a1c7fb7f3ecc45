"""Requests that would have a server dial what it must not: each gets an answer, and not one connection is begun."""

from __future__ import annotations

import os

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.addresses import direct_ip
from nodetrust.libp2p import varint
from nodetrust.libp2p.multiaddr import MAX_MULTIADDR_BYTES, Multiaddr
from nodetrust.libp2p.multiaddr_protocols import BY_NAME as BY_PROTOCOL
from nodetrust.messages import E_OTHER, OK, CheckFault, CheckResult
from nodetrust.names import label_for_peer
from nodetrust.reachability.decide import MAX_ADDRESSES, Rules
from tests.reachability.support import ASKER, HERE, OTHER, ZONE, AskingStream, CheckingServer, request, wss

FROM_V4 = "/ip4/8.8.8.8/tcp/50000"
FROM_V6 = "/ip6/2606:4700::1111/tcp/50000"
GOOD = wss(f"dns4/ip48-8-8-8.{ZONE}")
GOOD_V6 = wss(f"dns6/ip62606-4700--1111.{ZONE}")
END = f"/tls/ws/p2p/{ASKER}"


def raw(text: str) -> bytes:
    return bytes(Multiaddr.parse(text))


def named(protocol: str, name: str) -> bytes:
    """The part of an address that is a name, of any octets whatever."""
    octets = name.encode()
    return BY_PROTOCOL[protocol].prefix + varint.encode(len(octets)) + octets


OTHERS_IPS = [
    *("8.8.8.9", "8.8.8.0", "8.8.8.255", "1.1.1.1", "9.9.9.9"),
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "0.8.8.8", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
]
OTHERS_IPV6 = [
    *("::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::808:808"),
    *("2002:808:808::1", "2001:0:808:808::f7f7:f7f7", "fd00::1", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1"),
    *("2606:4700::1112", "2606:4700::", "fd00:ec2::254"),
]

BY_IP = {f"IPv4 {ip}": raw(wss(f"ip4/{ip}")) for ip in OTHERS_IPS} | {
    f"IPv6 {ip}": raw(wss(f"ip6/{ip}")) for ip in OTHERS_IPV6
}

BY_NAME = {
    f"the name {name!r} for {kind}": named(kind, name) + raw(f"/tcp/4443{END}")
    for kind, name in (
        # names that spell another address
        ("dns4", f"ip48-8-8-9.{ZONE}"),
        ("dns4", f"ip4127-0-0-1.{ZONE}"),
        ("dns4", f"ip4169-254-169-254.{ZONE}"),
        ("dns4", f"ip40-0-0-0.{ZONE}"),
        ("dns6", f"ip60--0.{ZONE}"),
        ("dns6", f"ip6--1.{ZONE}"),
        ("dns6", f"ip6--ffff-808-808.{ZONE}"),
        ("dns", f"ip664-ff9b--808-808.{ZONE}"),
        ("dns4", f"ip4127-0-0-1.ip48-8-8-8.{ZONE}"),
        # names that spell none
        ("dns4", ZONE),
        ("dns4", f"www.{ZONE}"),
        ("dns4", f"ip48-8-8-08.{ZONE}"),
        ("dns4", f"ip48-8-8.{ZONE}"),
        ("dns4", f"ip48-8-8-8-8.{ZONE}"),
        ("dns4", f"ip4134744072.{ZONE}"),
        ("dns4", f"ip40x8-8-8-8.{ZONE}"),
        ("dns4", f"ip48-8-8-8x.{ZONE}"),
        ("dns4", f"x.ip48-8-8-8.{ZONE}"),
        ("dns4", f"{label_for_peer(ASKER)}.{ZONE}"),
        ("dns4", f"8-8-8-8.{ZONE}"),
        ("dns4", f"*.{ZONE}"),
        ("dns4", f"*.ip48-8-8-8.{ZONE}"),
        ("dns4", "localhost"),
        ("dns4", "8.8.8.8"),
        ("dns4", "8.8.8.8.nip.io"),
        ("dns4", "metadata.google.internal"),
        ("dns", "ip48-8-8-8"),
        # the wrong family, and names that no CA signs
        ("dns6", f"ip48-8-8-8.{ZONE}"),
        ("dns4", f"ip62606-4700--1111.{ZONE}"),
        ("dns4", f"ip48-8-8-8.{ZONE}."),
        ("dns4", f"ip48-8-8-8..{ZONE}"),
        ("dns4", f".ip48-8-8-8.{ZONE}"),
        ("dns4", f"ip48-8-8-8.a_b.{ZONE}"),
        ("dns4", f"ip48-8-8-8.-a.{ZONE}"),
        ("dns4", f"ip48-8-8-8.{'a.' * 12}{ZONE}"),
        ("dns4", f"ip48-8-8-8.{'a' * 64}.{ZONE}"),
        ("dns4", f"ip48-8-8-8.{'a' * 60 + '.'}{'b' * 60 + '.'}{'c' * 60 + '.'}{'d' * 60 + '.'}{ZONE}"),
        ("dns4", f"ip48-8-8-8.a b.{ZONE}"),
        ("dns4", f"ip48-8-8-8.a\r\nset x 0 0 1\r\n.{ZONE}"),
        ("dns4", f"ip48-8-8-8.a\0.{ZONE}"),
        ("dns4", f"ip48-8-8-8.ä.{ZONE}"),
        ("dns4", f"ip4８-8-8-8.{ZONE}"),
    )
}

ANOTHER_ZONE = {
    f"the right label in another zone, {name}": raw(f"/dns4/{name}/tcp/4443{END}")
    for name in (
        "ip48-8-8-8.evil.example",
        f"ip48-8-8-8.{ZONE}.evil.example",
        f"ip48-8-8-8.evil{ZONE}",
        f"ip48-8-8-8.x-{ZONE}",
        f"ip48-8-8-8.{ZONE.replace('.', '-')}",
    )
} | {"SNI of another zone": raw(f"/ip4/8.8.8.8/tcp/4443/tls/sni/ip48-8-8-8.evil.example/ws/p2p/{ASKER}")}

BY_FORM = {
    "a port of 0": raw(f"/ip4/8.8.8.8/tcp/0{END}"),
    **{f"port {port}": raw(f"/ip4/8.8.8.8/tcp/{port}{END}") for port in (1, 22, 25, 53, 110, 389, 445, 587, 1023)},
    **{f"a port that browsers shun, {port}": raw(wss("ip4/8.8.8.8", port)) for port in (2049, 5060, 6000, 6667, 10080)},
    "no peer": raw("/ip4/8.8.8.8/tcp/4443/tls/ws"),
    "two peers": raw(f"{GOOD}/p2p/{OTHER}"),
    "a relay": raw(f"{GOOD}/p2p-circuit"),
    "a relay to a peer": raw(f"{GOOD}/p2p-circuit/p2p/{OTHER}"),
    "no TLS": raw(f"/ip4/8.8.8.8/tcp/4443/ws/p2p/{ASKER}"),
    "TCP alone": raw(f"/ip4/8.8.8.8/tcp/4443/p2p/{ASKER}"),
    "TLS without WebSocket": raw(f"/ip4/8.8.8.8/tcp/4443/tls/p2p/{ASKER}"),
    "TLS twice": raw(f"/ip4/8.8.8.8/tcp/4443/tls/tls/ws/p2p/{ASKER}"),
    "TLS above WebSocket": raw(f"/ip4/8.8.8.8/tcp/4443/ws/tls/p2p/{ASKER}"),
    "QUIC": raw(f"/ip4/8.8.8.8/udp/4443/quic-v1/p2p/{ASKER}"),
    "two hosts": raw(f"/ip4/8.8.8.8/tcp/1/ip4/127.0.0.1/tcp/4443{END}"),
    "two hosts, the other first": raw(f"/ip4/127.0.0.1/tcp/4443/ip4/8.8.8.8/tcp/1{END}"),
    "two ports": raw(f"/ip4/8.8.8.8/tcp/4443/tcp/22{END}"),
    "no host": raw(f"/tcp/4443{END}"),
    "a peer alone": raw(f"/p2p/{ASKER}"),
    "SNI of another address": raw(f"/ip4/8.8.8.8/tcp/4443/tls/sni/ip48-8-8-9.{ZONE}/ws/p2p/{ASKER}"),
    "SNI of no address": raw(f"/ip4/8.8.8.8/tcp/4443/tls/sni/www.{ZONE}/ws/p2p/{ASKER}"),
    "SNI with a line's end": raw("/ip4/8.8.8.8/tcp/4443/tls")
    + named("sni", f"ip48-8-8-8.\r\nx.{ZONE}")
    + raw(f"/ws/p2p/{ASKER}"),
    "another's host with the right SNI": raw(f"/ip4/127.0.0.1/tcp/4443/tls/sni/ip48-8-8-8.{ZONE}/ws/p2p/{ASKER}"),
    "another's name with the right SNI": raw(
        f"/dns4/ip4127-0-0-1.{ZONE}/tcp/4443/tls/sni/ip48-8-8-8.{ZONE}/ws/p2p/{ASKER}"
    ),
    "the right name with another's SNI": raw(
        f"/dns4/ip48-8-8-8.{ZONE}/tcp/4443/tls/sni/ip4127-0-0-1.{ZONE}/ws/p2p/{ASKER}"
    ),
    "nothing": b"",
    "an octet": b"\x04",
    "an address that is cut": raw(GOOD)[:-1],
    "an address and an octet more": raw(GOOD) + b"\0",
    "an unknown protocol": b"\xff\x7f" + raw(GOOD),
    "the largest address": raw(GOOD) + b"\xdd\x03" * ((MAX_MULTIADDR_BYTES - len(raw(GOOD))) // 2),
    "an address that is too long": raw(GOOD) * 40,
    "a text": GOOD.encode(),
    "zeros": bytes(100),
    "random octets": os.urandom(200),
    "a length of 2^63": b"\x36" + b"\xff" * 8 + b"\x7f",
    "a peer of a megabyte": b"\xa5\x03\xc0\x84\x3d" + bytes(100),
}

ADDRESSES = BY_IP | BY_NAME | ANOTHER_ZONE | BY_FORM

FROM_ELSEWHERE = {
    "a private asker": "/ip4/10.0.0.1/tcp/1",
    "an asker on loopback": "/ip4/127.0.0.1/tcp/1",
    "an asker behind a carrier's NAT": "/ip4/100.64.0.1/tcp/1",
    "an asker at a cloud's metadata": "/ip4/169.254.169.254/tcp/1",
    "an asker that is mapped and private": "/ip6/::ffff:10.0.0.1/tcp/1",
    "an asker through NAT64": "/ip6/64:ff9b::808:808/tcp/1",
    "an asker through 6to4": "/ip6/2002:808:808::1/tcp/1",
    "an asker through Teredo": "/ip6/2001:0:808:808::f7f7:f7f7/tcp/1",
    "an asker of a local IPv6 network": "/ip6/fd00::1/tcp/1",
    "an asker at the server's own address": HERE,
}

MESSAGES = {
    "garbage": b"\xff\xff",
    "text": b"dial me",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "a request that is cut": request(GOOD)[:-1],
    "a length beyond the end": b"\x0a\x7f",
    "a length of 2^63": b"\x0a" + b"\xff" * 8 + b"\x7f",
    "a group that does not end": b"\x0b",
    "groups within groups": b"\x2b" * 8000,
    "an address as a number": b"\x08\x01",
    "no address": b"",
    "another message": CheckResult(addr=b"", reachable=True).SerializeToString()[2:],
    "one address too many": request(*[GOOD] * (MAX_ADDRESSES + 1)),
    "addresses by the hundred": request(*[GOOD] * 100),
    "empty addresses by the thousand": request(*[b""] * 4000),
}


class CheckTests(SynchronousTestCase):
    def assert_refused(self, row: str, server: CheckingServer, stream: AskingStream) -> None:
        """One result, which says that it is not allowed and why; nothing is dialled."""
        self.successResultOf(stream.asking)
        self.assertEqual(stream.response.error, OK, row)
        for result in stream.response.results:
            self.assertEqual((result.reachable, result.fault), (False, CheckFault.NOT_ALLOWED), row)
            self.assertTrue(result.message.isprintable() and result.message, row)
        self.assertEqual(server.reactor.dialled, [], row)

    def test_there_are_many(self) -> None:
        """The tables were not emptied by mistake."""
        self.assertGreater(sum(map(len, (ADDRESSES, FROM_ELSEWHERE, MESSAGES))), 140)

    def test_addresses(self) -> None:
        """None of these is dialled, whoever asks over IPv4 or IPv6, and the good one beside it is."""
        for row, address in ADDRESSES.items():
            for remote, good in ((FROM_V4, GOOD), (FROM_V6, GOOD_V6)):
                server = CheckingServer(self)
                self.assert_refused(row, server, server.ask(request(address), remote))
                server.ask(request(address, good), remote)
                self.assertEqual([host for host, _ in server.reactor.dialled], [remote.split("/")[2]], row)

    def test_addresses_of_any_zone(self) -> None:
        """A server without a zone dials the names of others' zones at the asker's own address, and no other row."""
        for row, address in ADDRESSES.items():
            server = CheckingServer(self, Rules(None))
            stream = server.ask(request(address))
            if row in ANOTHER_ZONE:
                self.assertEqual(server.reactor.dialled, [("8.8.8.8", 4443)], row)
            else:
                self.assert_refused(row, server, stream)

    def test_where_private_askers_are_served(self) -> None:
        """Nor are others' addresses where the operator allows private ones."""
        for row, address in ADDRESSES.items():
            server = CheckingServer(self, Rules(ZONE, allow_private=True))
            self.assert_refused(row, server, server.ask(request(address)))

    def test_askers(self) -> None:
        """Who comes from an address that is not public, or not from outside, has not even that one dialled."""
        for row, remote in FROM_ELSEWHERE.items():
            ip = direct_ip(Multiaddr.parse(remote))
            assert ip is not None
            server = CheckingServer(self, Rules(None))
            address = raw(wss(f"ip{ip.version}/{ip}"))
            self.assert_refused(row, server, server.ask(request(address, GOOD), remote))

    def test_messages(self) -> None:
        """What is no request, or one for too much, is told so, in printable text."""
        for row, message in MESSAGES.items():
            server = CheckingServer(self)
            stream = server.ask(message)
            self.successResultOf(stream.asking)
            self.assertEqual(stream.response.error, E_OTHER, row)
            self.assertTrue(stream.response.message.isprintable() and stream.response.message, row)
            self.assertEqual(server.reactor.dialled, [], row)

    def test_log(self) -> None:
        """No row is worth more than a debug line: it is the peer's fault."""
        with capturedLogs() as logs:
            for message in (*MESSAGES.values(), *map(request, ADDRESSES.values())):
                CheckingServer(self).ask(message)
        self.assertGreater(len(logs), 100)
        self.assertEqual([one for one in logs if one["log_level"] > LogLevel.debug], [])
