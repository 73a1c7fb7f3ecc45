"""The form that is signed, beside dnspython's and RFC 6605's."""

import base64

import dns.rdata
import dns.rdataclass
import dns.rdatatype
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.dnssec.canonical import canonical_rdata, canonical_rrset
from nodetrust.dns.records import RRset, Type, parse_name
from tests.dns.dnssec.test_records import RFC6605_KEY

RECORDS = [
    ("NS", "Ns1.EXAMPLE."),
    ("CNAME", "WWW.Example."),
    ("SOA", "A.Example. B.Example. 65 66 67 68 16961"),
    ("PTR", "X.Y."),
    ("MX", "16705 MAIL.Example."),
    ("RP", "A.B. C.D."),
    ("AFSDB", "16705 A.B."),
    ("RT", "16705 A.B."),
    ("PX", "16705 A.B. C.D."),
    ("SRV", "16705 16705 16705 A.B."),
    ("NAPTR", '16705 16705 "S" "E2U+SIP" "!^.*$!SIP:X@Y!" A.B.'),
    ("KX", "16705 A.B."),
    ("DNAME", "A.B."),
    ("TXT", '"UPPER"'),
    ("HINFO", '"CPU" "OS"'),
    ("CAA", '0 issue "CA.Example"'),
    ("HTTPS", "1 SVC.Example. alpn=h2"),
    ("NSEC", "A.Example. A MX"),
    ("A", "65.66.67.68"),
]


class CanonicalTests(SynchronousTestCase):
    """`canonical_rdata` and `canonical_rrset`."""

    def test_names_within_the_data(self) -> None:
        """Names are in lower case in the types that RFC 4034 and 6840 list, and nothing else ever is."""
        for type_, text in RECORDS:
            rdata = dns.rdata.from_text("IN", type_, text)
            self.assertEqual(
                (type_, canonical_rdata(int(rdata.rdtype), rdata.to_wire())), (type_, rdata.to_digestable())
            )

    def test_order(self) -> None:
        """Records stand in the order of their data, octet by octet, the shorter before its continuation; each once."""
        rdatas = (b"\2b", b"\2a\0", b"\2", b"\2a", b"\xff", b"\2b")
        signed = canonical_rrset((b"x",), RRset(Type.TXT, 7, rdatas))
        expected = b"".join(
            b"\1x\0" + b"\0\x10\0\1\0\0\0\7\0" + bytes((len(rdata),)) + rdata
            for rdata in (b"\2", b"\2a", b"\2a\0", b"\2b", b"\xff")
        )
        self.assertEqual(signed, expected)

    def test_names_that_become_equal(self) -> None:
        """Records that differ only in the case of their names are one record to the validator."""
        once, twice = (RRset(Type.NS, 1, rdatas) for rdatas in ((b"\1a\0",), (b"\1A\0", b"\1a\0")))
        self.assertEqual(canonical_rrset((), once), canonical_rrset((), twice))

    def test_rfc_6605(self) -> None:
        """The signature in RFC 6605 §6.1 is one over what we would sign."""
        header = bytes.fromhex("00010d0300000e10") + (1284026679).to_bytes(4, "big") + (1281607479).to_bytes(4, "big")
        header += (55648).to_bytes(2, "big") + b"\7example\3net\0"
        signature = base64.b64decode(
            "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw=="
        )
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        der = utils.encode_dss_signature(r, s)
        for last, expected in ((1, None), (2, InvalidSignature)):
            records = canonical_rrset(parse_name("www.example.net"), RRset(Type.A, 3600, (bytes((192, 0, 2, last)),)))
            arguments = (der, header + records, ec.ECDSA(hashes.SHA256()))
            verify = RFC6605_KEY.private.public_key().verify
            if expected is None:
                verify(*arguments)
            else:
                self.assertRaises(expected, verify, *arguments)
