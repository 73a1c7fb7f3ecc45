"""When a signature is made, and how long it is good."""

from collections.abc import Callable
from unittest.mock import patch

import dns.dnssec
import dns.rrset
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.dnssec import sign
from nodetrust.dns.dnssec.keys import ZoneKey
from nodetrust.dns.dnssec.sign import STEP_SECONDS, Signer, period
from nodetrust.dns.records import RRset, Type
from tests.dns.dnssec.example import APEX, KEY, NOW, dnskeys
from tests.dns.example import ORIGIN

RRSET = RRset(Type.A, 300, (b"\1\2\3\4",))
OWNER = (b"x", *ORIGIN)


def counted() -> tuple[list[bytes], Callable[[ZoneKey, bytes], bytes]]:
    """What is signed from now on, and what to put in the place of ZoneKey.sign."""
    signed: list[bytes] = []

    def count(key: ZoneKey, data: bytes) -> bytes:
        signed.append(data)
        return bytes(64)

    return signed, count


class PeriodTests(SynchronousTestCase):
    """`period`."""

    def test_always_good(self) -> None:
        """At any moment a signature began hours ago and is good for 13 days; it is the same all day long."""
        day = int(NOW) // STEP_SECONDS * STEP_SECONDS
        for second in (day, day + 1, day + STEP_SECONDS - 1):
            inception, expiration = period(second + 0.5)
            self.assertEqual((inception, expiration), (day - 3 * 3600, day + 14 * 86400))
        self.assertNotEqual(period(day + STEP_SECONDS), period(day))


class SignerTests(SynchronousTestCase):
    """`Signer`."""

    def setUp(self) -> None:
        self.now = NOW
        self.signer = Signer(ORIGIN, [KEY], lambda: self.now)

    def test_validates(self) -> None:
        """dnspython accepts it on the first and on the last day, for numbers beyond 2038 and beyond 2106 too."""
        owner = dns.name.from_text("x.nt.test")
        for now in (NOW, 2**31 + 5.0, 2**32 - 86400 * 20.0):
            self.now = now
            found = self.signer.rrsig(OWNER, RRSET)
            (rdata,) = found.rdatas
            rrset = dns.rrset.from_text(owner, 300, "IN", "A", "1.2.3.4")
            rrsig = dns.rrset.from_rdata(owner, 300, dns.rdata.from_wire("IN", "RRSIG", rdata, 0, len(rdata)))
            dns.dnssec.validate(rrset, rrsig, {APEX: dnskeys(KEY)[APEX]}, now=now)
        self.now = 2.0**32 + 10
        self.assertEqual(
            self.signer.rrsig(OWNER, RRSET).rdatas[0][8:12], (14 * 86400 - 2**32 % 86400).to_bytes(4, "big")
        )

    def test_remembered(self) -> None:
        """The same set is signed once a day; whatever differs in it is another set."""
        signed, count = counted()
        with patch.object(sign.ZoneKey, "sign", count):
            for _ in range(3):
                self.signer.rrsig(OWNER, RRSET)
            self.assertEqual(len(signed), 1)
            self.signer.rrsig((b"y", *ORIGIN), RRSET)
            self.signer.rrsig(OWNER, RRset(Type.A, 299, RRSET.rdatas))
            self.signer.rrsig(OWNER, RRset(Type.A, 300, (b"\1\2\3\5",)))
            self.signer.rrsig(OWNER, RRset(Type.TXT, 300, RRSET.rdatas))
            self.now += STEP_SECONDS
            self.signer.rrsig(OWNER, RRSET)
        self.assertEqual((len(signed), len(set(signed))), (6, 6))

    def test_order_of_records(self) -> None:
        """The order in which records are answered is no part of the set."""
        signed, count = counted()
        with patch.object(sign.ZoneKey, "sign", count):
            for rdatas in ((b"\1\2\3\4", b"\1\2\3\5"), (b"\1\2\3\5", b"\1\2\3\4")):
                self.signer.rrsig(OWNER, RRset(Type.A, 300, rdatas))
        self.assertEqual(len(signed), 1)

    def test_needs_a_key(self) -> None:
        """A signer without a key is a mistake."""
        self.assertRaises(ValueError, Signer, ORIGIN, [])
