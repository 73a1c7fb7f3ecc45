"""Mutated packets against the whole DNS server but for its sockets.

    python -m tests.fuzz.dns --count 20000000 --seed 1

Held for every packet, over UDP without limits, over UDP with them, and over TCP: no exception; no answer to a response
or to less than a header; no answer larger than the query allows; the ID and the question come back; and memory does not
grow. Prints how far it is, and ends with status 1 and the packet in hexadecimal at the first that breaks a rule.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network

import dns.edns
import dns.flags
import dns.message

from nodetrust.dns.answer import Identity
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.errors import BadQuery, NotAQuery
from nodetrust.dns.limits.cookies import Cookies
from nodetrust.dns.limits.gate import Gate
from nodetrust.dns.limits.rates import RateLimiter
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import Responder
from nodetrust.dns.wire import HEADER, MAX_UDP_BYTES, read_query, udp_limit
from tests.dns.example import CID, PEER_LABEL, authority

BATCH = 64
REPORT_PACKETS = 500_000
WARM_PACKETS = 200_000
MAX_GROWTH_BYTES = 16 * 1024 * 1024
"""After the warming up: tables of fixed size fill until then, allocators hold some more."""

QR = 0x80
_NAMES = (
    "ip41-2-3-4.nt.test",
    "IP4255-255-255-255.nt.test",
    "ip6--1.nt.test",
    "ip62001-db8--1.nt.test",
    f"{PEER_LABEL}.nt.test",
    f"ip41-2-3-4.{PEER_LABEL}.nt.test",
    f"1-2-3-4.{CID}.nt.test",
    "_acme-challenge.ip41-2-3-4.nt.test",
    "_acme-challenge.ip49-9-9-9.nt.test",
    "ip4256-1-1-1.nt.test",
    "nt.test",
    "big.nt.test",
    "www.nt.test",
    "loop.nt.test",
    "a.b.c.sub.nt.test",
    "x.wild.nt.test",
    "version.bind",
    "elsewhere.example",
    ".",
    "a." * 60 + "nt.test",
)
_TYPES = (
    "A",
    "AAAA",
    "TXT",
    "NS",
    "SOA",
    "MX",
    "CAA",
    "ANY",
    "AXFR",
    "IXFR",
    "DNSKEY",
    "DS",
    "TYPE65535",
    "TYPE0",
    "OPT",
)
_OPTIONS = (
    (),
    (dns.edns.GenericOption(10, b"clientcl"),),
    (dns.edns.GenericOption(10, b"clientcl" + bytes(16)),),
    (dns.edns.GenericOption(3, b""),),
    (dns.edns.GenericOption(65001, bytes(40)), dns.edns.GenericOption(10, b"x")),
)


class Finding(Exception):
    """A packet that breaks a rule."""

    def __init__(self, rule: str, packet: bytes, response: bytes | None) -> None:
        super().__init__(f"{rule}\npacket   {packet.hex()}\nresponse {'none' if response is None else response.hex()}")


def seeds() -> list[bytes]:
    """Honest queries of all kinds, and some crafted ones."""
    found = []
    for index, name in enumerate(_NAMES):
        for type_ in _TYPES:
            for edns in (-1, 0, 1):
                options = _OPTIONS[(index + len(found)) % len(_OPTIONS)] if edns == 0 else ()
                payload = (0, 512, 1232, 4096, 65535)[len(found) % 5]
                query = dns.message.make_query(
                    name, type_, use_edns=edns, payload=payload, options=list(options), want_dnssec=edns == 0
                )
                query.id = len(found)
                found.append(query.to_wire())
    pointer = HEADER.pack(1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1"
    many = HEADER.pack(1, 0, 65535, 65535, 65535, 65535) + b"\0\0\1\0\1" * 100
    return [*found, pointer, many, b"", bytes(12), b"\xff" * 600]


def mutate(packet: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A packet with a few changes, seldom none."""
    changed = bytearray(packet)
    pick = chance.random
    for _ in range(int(pick() * 4)):
        size = len(changed)
        kind = int(pick() * 8)
        place = int(pick() * size)
        if not size or kind == 0:
            changed[place:place] = others[int(pick() * len(others))][: int(pick() * 40)]
        elif kind == 1:
            changed[place] ^= 1 << int(pick() * 8)
        elif kind == 2:
            changed[place] = (0, 1, 12, 0x3F, 0x40, 0x80, 0xC0, 0xFF)[int(pick() * 8)]
        elif kind == 3:
            del changed[place : place + int(pick() * 8)]
        elif kind == 4:
            del changed[place:]
        elif kind == 5 and size >= HEADER.size:
            changed[2 + int(pick() * 10)] = int(pick() * 4)
        elif kind == 6:
            other = others[int(pick() * len(others))]
            changed[place:] = other[int(pick() * len(other)) :]
        else:
            changed[place] = int(pick() * 256)
    return bytes(changed)


def check(packet: bytes, response: bytes | None, *, udp: bool) -> None:
    """Raise Finding where a response breaks a rule."""
    if response is None:
        return
    if len(packet) < HEADER.size or packet[2] & QR:
        raise Finding("answered what is no query", packet, response)
    if len(response) < HEADER.size or response[:2] != packet[:2] or not response[2] & QR:
        raise Finding("not a response to this packet", packet, response)
    if udp and len(response) > MAX_UDP_BYTES:
        raise Finding("larger than any answer over UDP", packet, response)
    if len(response) == HEADER.size:
        return
    try:
        query = read_query(packet)
    except (BadQuery, NotAQuery):
        raise Finding("more than a header for what cannot be read", packet, response) from None
    if udp and len(response) > udp_limit(query):
        raise Finding("larger than the client takes", packet, response)
    if not response.startswith(query.question, HEADER.size):
        raise Finding("another question", packet, response)


@dataclass
class Target:
    """The server in three ways: without limits, with them, and over TCP."""

    now: float = 0.0
    free: Responder = field(init=False)
    limited: Responder = field(init=False)

    def __post_init__(self) -> None:
        table = ChallengeTable()
        for number in range(8):
            table.add(Challenge(parse_name("ip41-2-3-4.nt.test"), b"%043d" % number), 0.0)
        world = authority(table, identity=Identity(b"version", b"server"))
        self.free = Responder(world, self.seconds)
        cookies = Cookies(lambda _: bytes(16))
        exempt = [IPv4Network("127.0.0.0/8")]
        self.limited = Responder(world, self.seconds, Gate(RateLimiter(20, 2, exempt), cookies, lambda: 1.7e9))

    def seconds(self) -> float:
        """The clock; challenges do not end."""
        return self.now % 500

    def run(self, packets: Sequence[bytes], sources: Sequence[bytes]) -> None:
        """Raise Finding, or whatever the server raises, at the first packet that breaks a rule."""
        self.now += 0.001
        for responder in (self.free, self.limited):
            for packet, response in zip(packets, responder.respond_all(packets, sources), strict=True):
                if response is not None:
                    check(packet, response, udp=True)
        for packet, source in zip(packets[::8], sources[::8], strict=True):
            check(packet, self.limited.respond(packet, udp=False, source=source), udp=False)


def resident_bytes() -> int:
    """Memory of this process that is in use, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def run(count: int, seed: int, say: Callable[[str], None], target: Target | None = None) -> int:
    """Try `count` packets, and return by how many octets memory grew after the warming up. Raises as `Target.run`."""
    chance = random.Random(seed)
    target = target or Target()
    corpus = seeds()
    sources = [chance.randbytes(4) for _ in range(200)] + [chance.randbytes(16) for _ in range(100)]
    begin, warm, done = time.monotonic(), 0, 0
    while done < count:
        size = min(BATCH, count - done)
        packets = [mutate(corpus[int(chance.random() * len(corpus))], corpus, chance) for _ in range(size)]
        try:
            target.run(packets, [sources[int(chance.random() * len(sources))] for _ in packets])
        except Exception:
            say("in one of these packets: " + " ".join(packet.hex() for packet in packets))
            raise
        done += size
        if not warm and done >= WARM_PACKETS:
            warm = resident_bytes()
        if done % REPORT_PACKETS < size:
            rate = done / (time.monotonic() - begin)
            say(f"{done:,} packets, {rate:,.0f} a second, {resident_bytes() >> 20} MiB resident")
    growth = resident_bytes() - warm if warm else 0
    seconds = time.monotonic() - begin
    say(f"{done:,} packets in {seconds:,.0f} s, {growth / 1024:,.0f} KiB more than after {WARM_PACKETS:,}")
    for name, responder in (("without", target.free), ("with", target.limited)):
        counted = asdict(responder.counters).items()
        say(f"{name} limits: " + ", ".join(f"{count:,} {what}" for what, count in counted if count))
    return growth


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    growth = run(options.count, options.seed, lambda line: print(line, flush=True))
    if growth > MAX_GROWTH_BYTES:
        sys.exit(f"memory grew by {growth} octets")


if __name__ == "__main__":
    main()
