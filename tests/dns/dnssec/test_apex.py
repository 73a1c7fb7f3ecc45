"""A zone with keys."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.authority import read_zone
from nodetrust.dns.dnssec.apex import with_keys
from nodetrust.dns.dnssec.keys import create, generate
from nodetrust.dns.errors import ZoneError, ZoneKeyError
from nodetrust.dns.records import Type
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.zone.zonefile import parse_zone
from nodetrust.settings import HostPort, ZoneName, build
from tests.dns.dnssec.example import KEY
from tests.dns.example import ORIGIN

FILE = "@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"
OURS = (Type.DNSKEY, Type.CDS, Type.CDNSKEY)


class WithKeysTests(SynchronousTestCase):
    """`with_keys`."""

    def test_published(self) -> None:
        """The apex has DNSKEY, CDNSKEY and CDS of all keys beside what the file says, each key once."""
        other = generate()
        zone = with_keys(parse_zone(FILE, ORIGIN, "f"), [KEY, other, KEY])
        apex = zone.nodes[ORIGIN].rrsets
        self.assertEqual(set(apex), {Type.SOA, Type.NS, *OURS})
        self.assertEqual([len(apex[type_].rdatas) for type_ in OURS], [2, 2, 2])
        tags = [int.from_bytes(rdata[:2], "big") for rdata in apex[Type.CDS].rdatas]
        self.assertEqual(tags, [KEY.tag, other.tag])
        assert zone.signer is not None
        self.assertEqual(zone.signer.keys[0], KEY)

    def test_without_keys(self) -> None:
        """Off by default: without a key it is the same zone."""
        zone = parse_zone(FILE, ORIGIN, "f")
        self.assertIs(with_keys(zone, []), zone)
        self.assertIsNone(zone.signer)

    def test_the_parent_shall_forget(self) -> None:
        """CDS in the file is the operator's word to the parent: ours stands back (RFC 8078 §4)."""
        zone = with_keys(parse_zone(f"{FILE}@ 60 CDS 0 0 0 00\n", ORIGIN, "f"), [KEY])
        apex = zone.nodes[ORIGIN].rrsets
        self.assertEqual((apex[Type.CDS].rdatas, Type.CDNSKEY in apex), ((bytes(5),), False))

    def test_signed_already(self) -> None:
        """A zone file with records of somebody else's signing is refused."""
        for line in (
            "@ 60 DNSKEY 257 3 13 AAAA",
            "ns 60 NSEC ns A",
            "ns 60 RRSIG A 13 3 60 20300101000000 20200101000000 1 nt.test. AAAA",
            "@ 60 NSEC3PARAM 1 0 0 -",
        ):
            zone = parse_zone(f"{FILE}{line}\n", ORIGIN, "f")
            self.assertRaisesRegex(ZoneError, "dnssec_key", with_keys, zone, [KEY])


class SettingTests(SynchronousTestCase):
    """The setting `dnssec_key`."""

    def test_files(self) -> None:
        """The keys are read with the zone, in the order of the setting; a bad one is refused as a bad zone is."""
        folder = Path(self.mktemp())
        folder.mkdir()
        paths = (folder / "a", folder / "b")
        keys = [create(path, ORIGIN) for path in paths]
        values = {
            "zone": ZoneName.parse("nt.test"),
            "listen_dns": (HostPort("127.0.0.1", 0),),
            "dnssec_key": paths,
        }
        zone = read_zone(build(DnsSettings, values))
        assert zone.signer is not None
        self.assertEqual([key.dnskey for key in zone.signer.keys], [key.dnskey for key in keys])
        paths[1].write_text("no key")
        self.assertRaises(ZoneKeyError, read_zone, build(DnsSettings, values))
