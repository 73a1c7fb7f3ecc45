"""Every form of name that the zone of `internet.py` answers, with what is there."""

from nodetrust.libp2p.peer_id import PeerId
from tests.dns.example import PEER, PEER_LABEL
from tests.dns_oracle.internet import MAIL, OURS

CID = PeerId.from_base58(PEER).to_cid_base36()
_ID = f'"id={PEER}"'
_NS1 = OURS["ns1.nt.test"]

NO_VALUE_YET = f"_acme-challenge.{CID}.nt.test"
ANSWERS: list[tuple[str, str, list[str]]] = [
    ("ip41-2-3-4.nt.test", "A", ["1.2.3.4"]),
    ("IP4198-51-100-7.nt.test", "A", ["198.51.100.7"]),
    ("ip4127-0-0-1.nt.test", "A", ["127.0.0.1"]),
    ("ip4255-255-255-255.below.any.name.nt.test", "A", ["255.255.255.255"]),
    (f"ip41-2-3-4.{PEER_LABEL}.nt.test", "A", ["1.2.3.4"]),
    ("ip62001-db8--0.nt.test", "AAAA", ["2001:db8::"]),
    ("ip62001-db8--.nt.test", "AAAA", ["2001:db8::"]),
    ("ip6--1.nt.test", "AAAA", ["::1"]),
    ("ip60--1.nt.test", "AAAA", ["::1"]),
    ("ip6FE80-0-0-0-0-0-0-ABCD.nt.test", "AAAA", ["fe80::abcd"]),
    ("ip62001-0db8-0000-0000-0000-0000-0000-0001.x.nt.test", "AAAA", ["2001:db8::1"]),
    (f"{PEER_LABEL}.nt.test", "TXT", [_ID]),
    (f"{PEER_LABEL.upper()}.nt.test", "TXT", [_ID]),
    (f"1-2-3-4.{CID}.nt.test", "A", ["1.2.3.4"]),
    (f"0--1.{CID}.nt.test", "AAAA", ["::1"]),
    (f"2001-DB8--1.{CID.upper()}.nt.test", "AAAA", ["2001:db8::1"]),
    (NO_VALUE_YET, "TXT", ['"not set yet"']),
    ("www.nt.test", "A", ["46.20.1.80", "ip446-20-1-80.nt.test."]),
    ("mail.nt.test", "AAAA", [MAIL[1]]),
    ("nt.test", "NS", ["ns1.nt.test.", "ns2.nt.test."]),
    ("nt.test", "MX", ["10 mail.nt.test."]),
    ("nt.test", "CAA", ['0 issue "letsencrypt.org; validationmethods=dns-01"']),
    ("ns1.nt.test", "A", [_NS1[0]]),
]
"""Name, type, and the data of the answer section in order of its text."""

NO_DATA = [
    ("ip41-2-3-4.nt.test", "AAAA"),
    ("ip6--1.nt.test", "A"),
    (f"{PEER_LABEL}.nt.test", "A"),
    (f"{CID}.nt.test", "CAA"),
    (f"256-1-1-1.{CID}.nt.test", "A"),
    ("free.nt.test", "A"),
    ("below.any.name.nt.test", "TXT"),
    ("_acme-challenge.ip41-2-3-4.nt.test", "TXT"),
    (f"_acme-challenge.{CID}.nt.test", "CAA"),
    ("nt.test", "AAAA"),
]
"""Names that exist, without that type."""

MISSING = ["ip4256-1-1-1.nt.test", "ip41-2-3.nt.test", "p0.nt.test", "below.ip4256-1-1-1.nt.test", "ip6g--1.nt.test"]
"""Broken labels."""

QUESTIONS = [
    *((name, type_) for name, type_, _ in ANSWERS),
    *NO_DATA,
    *((name, type_) for name in MISSING for type_ in ("A", "TXT")),
]


def expected(name: str, type_: str) -> tuple[str, list[str]]:
    """The response code and the data that an answer has."""
    if name in MISSING:
        return "NXDOMAIN", []
    found = [data for name_, known_type, data in ANSWERS if (name_, known_type) == (name, type_)]
    return "NOERROR", found[0] if found else []
