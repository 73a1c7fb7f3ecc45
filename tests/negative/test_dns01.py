"""Challenges that a DNS server does not publish."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.dns01 import ChallengesInMemory, Dns01
from nodetrust.dns.challenges.rights import Rights
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import Responder
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, OK, DNS01Request, DNS01Response
from tests.dns.example import PEER_LABEL, authority

ADMIN, CONFINED, STRANGER = (PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in range(1, 4))
ZONE = "nt.test"
FQDN = f"ip41-2-3-4.{ZONE}"
VALUE = "v" * 43

NAMES: dict[str, str] = {
    "nothing": "",
    "a dot": ".",
    "the zone": ZONE,
    "above the zone": "test",
    "another zone": "ip41-2-3-4.example.org",
    "a zone that ends in ours": f"ip41-2-3-4.x{ZONE}",
    "a zone that begins with ours": f"ip41-2-3-4.{ZONE}.example.org",
    "a label that is nobody's": f"www.{ZONE}",
    "the name server": f"ns.{ZONE}",
    "the wildcard of the zone": f"*.{ZONE}",
    "a wildcard": f"*.{FQDN}",
    "the challenge itself": f"_acme-challenge.{FQDN}",
    "dns-persist-01": f"_validation-persist.{FQDN}",
    "DKIM": f"x._domainkey.{ZONE}",
    "an address that is none": f"ip4999-1-1-1.{ZONE}",
    "an address with a leading zero": f"ip401-2-3-4.{ZONE}",
    "an address that ends early": f"ip41-2-3.{ZONE}",
    "an IPv6 address that is none": f"ip6g--1.{ZONE}",
    "a peer that is none": f"p{'1' * 59}.{ZONE}",
    "a peer that is cut": f"{PEER_LABEL[:-1]}.{ZONE}",
    "capital letters": FQDN.upper(),
    "one capital letter": f"iP41-2-3-4.{ZONE}",
    "a dot at the end": f"{FQDN}.",
    "a dot in front": f".{FQDN}",
    "two dots": f"ip41-2-3-4..{ZONE}",
    "a space": f"{FQDN} ",
    "a line end": f"{FQDN}\n",
    "an octet 0": f"{FQDN}\0",
    "an octet 0 and more": f"ip41-2-3-4\0.{ZONE}",
    "an escape": f"ip41-2-3-4\\.{ZONE}",
    "a decimal escape": f"ip41-2-3-\\052.{ZONE}",
    "a quote": f'"{FQDN}"',
    "a zero-width space": f"ip41-2-3-4\u200b.{ZONE}",
    "a zero-width joiner": f"ip41\u200d-2-3-4.{ZONE}",
    "a soft hyphen": f"ip41\u00ad2-3-4.{ZONE}",
    "a byte order mark": f"\ufeff{FQDN}",
    "a full-width digit": f"ip4１-2-3-4.{ZONE}",
    "an Arabic digit": f"ip4١-2-3-4.{ZONE}",
    "an ideographic full stop": f"ip41-2-3-4。{ZONE}",
    "a Cyrillic letter": f"іp41-2-3-4.{ZONE}",
    "a dotless i": f"ıp41-2-3-4.{ZONE}",
    "a capital I with a dot": f"İp41-2-3-4.{ZONE}",
    "a right-to-left override": f"\u202e{FQDN}",
    "a combining mark": f"ip41-2-3-4\u0301.{ZONE}",
    "an emoji": f"🔒.{ZONE}",
    "Punycode": f"xn--ip41-2-3-4-.{ZONE}",
    "a label of 64": f"{'a' * 64}.{ZONE}",
    "an address below a label of 64": f"ip41-2-3-4.{'a' * 64}.{ZONE}",
    "300 letters": f"ip41-2-3-4.{'a.' * 140}{ZONE}",
    "too long for the challenge in front": f"ip41-2-3-4.{'a.' * 112}{ZONE}",
    "an address": "1.2.3.4",
    "a reverse name": "4.3.2.1.in-addr.arpa",
}

VALUES: dict[str, str] = {
    "nothing": "",
    "42 letters": "v" * 42,
    "44 letters": "v" * 44,
    "padding": "v" * 42 + "=",
    "padding behind": VALUE + "=",
    "base64": "v" * 42 + "+",
    "base64's slash": "v" * 42 + "/",
    "a space": "v" * 42 + " ",
    "a line end behind": VALUE + "\n",
    "a line end": "v" * 42 + "\n",
    "a quote": "v" * 42 + '"',
    "an escape": "v" * 42 + "\\",
    "an octet 0": "v" * 42 + "\0",
    "a zero-width space": "v" * 42 + "\u200b",
    "a zero-width space behind": VALUE + "\u200b",
    "full-width letters": "ｖ" * 43,
    "Arabic digits": "٣" * 43,
    "a long s": "ſ" * 43,
    "in quotes": f'"{VALUE}"',
    "a thousand letters": "v" * 1000,
    "SPF": "v=spf1 +all",
}

MESSAGES: dict[str, bytes] = {
    "nothing": b"",
    "garbage": b"\xff\xff",
    "no value": b"\x0a\x12" + FQDN.encode(),
    "no name": b"\x12\x2b" + VALUE.encode(),
    "a request that is cut": DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()[:-1],
    "a name that is not UTF-8": b"\x0a\x02\xff\xfe\x12\x2b" + VALUE.encode(),
    "a surrogate": b"\x0a\x03\xed\xa0\x80\x12\x2b" + VALUE.encode(),
    "an overlong dot": b"\x0a\x12" + FQDN.encode().replace(b".n", b"\xc0\xae") + b"\x12\x2b" + VALUE.encode(),
    "a value that is not UTF-8": b"\x0a\x12" + FQDN.encode() + b"\x12\x2b" + b"\xff" * 43,
    "a number for the name": b"\x08\x01\x12\x2b" + VALUE.encode(),
    "a group that does not end": DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString() + b"\x2b",
    "a length beyond the end": b"\x0a\x7f" + FQDN.encode(),
    "two names, the last one another's": DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()
    + b"\x0a\x0bexample.org",
    "two values, the last one none": DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString() + b"\x12\x01x",
}


class Dns01Tests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = ChallengeTable(600)
        rights = Rights(frozenset({ADMIN, CONFINED}), {CONFINED: (parse_name(f"a.{ZONE}"),)})
        responder = Responder(authority(self.table), lambda: 5.0)
        self.dns01 = Dns01(responder, ChallengesInMemory(self.table, lambda: 5.0), rights)

    def ask(self, message: bytes, caller: object = ADMIN) -> DNS01Response:
        answering = Deferred.fromCoroutine(self.dns01.respond(caller, [message]))  # type: ignore[arg-type]  # a PeerId
        (response,) = self.successResultOf(answering)[0]
        return response

    def assert_refused(self, row: str, message: bytes, code: int = E_OTHER, caller: object = ADMIN) -> None:
        """It says why, and nothing is published."""
        response = self.ask(message, caller)
        self.assertEqual(response.error, code, f"{row}: {response.message}")
        self.assertTrue(response.message, row)
        self.assertEqual(len(self.table), 0, row)

    def assert_serves(self) -> None:
        self.assertEqual(self.ask(DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()).error, OK)

    def test_names(self) -> None:
        """Only names that this server makes up for addresses and peers, in their one spelling; to set and to remove."""
        for row, name in NAMES.items():
            self.assert_refused(row, DNS01Request(fqdn=name, value=VALUE).SerializeToString())
            self.assert_refused(row, DNS01Request(fqdn=name, value=VALUE, remove=True).SerializeToString())
        self.assert_serves()

    def test_values(self) -> None:
        """Only base64url of a SHA-256: nobody publishes anything else here."""
        for row, value in VALUES.items():
            self.assert_refused(row, DNS01Request(fqdn=FQDN, value=value).SerializeToString())
        self.assert_serves()

    def test_messages(self) -> None:
        """What is no DNS01Request."""
        for row, message in MESSAGES.items():
            self.assert_refused(row, message)
        self.assert_serves()

    def test_callers(self) -> None:
        """A stranger is refused before its message is read; an admin with a scope outside of it."""
        good = DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()
        for row, message in {"a good request": good, "garbage": b"\xff", "nothing": b""}.items():
            self.assert_refused(row, message, E_NOT_AUTHORIZED, STRANGER)
        self.assert_refused("outside its scope", good, E_NOT_AUTHORIZED, CONFINED)
        below = DNS01Request(fqdn=f"ip41-2-3-4.xa.{ZONE}", value=VALUE).SerializeToString()
        self.assert_refused("a scope that ends like its own", below, E_NOT_AUTHORIZED, CONFINED)
        self.assert_serves()
