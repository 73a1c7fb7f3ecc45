"""Wire forms against the vectors of the RFCs."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.dnssec.keys import ZoneKey
from nodetrust.dns.dnssec.records import dnskey_text, ds_rdata, ds_text, key_tag
from nodetrust.dns.records import parse_name

# RFC 6605 §6.1
P256_SECRET = base64.b64decode("GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=")
P256_PUBLIC = "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="
P256_DIGEST = "B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17"
RFC6605_KEY = ZoneKey(ec.derive_private_key(int.from_bytes(P256_SECRET, "big"), ec.SECP256R1()))

# RFC 4509 §2.3
RSA_DNSKEY = bytes((1, 0, 3, 5)) + base64.b64decode(
    "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBa"
    "MbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw=="
)
RSA_DS = "ec450502d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"


class RecordTests(SynchronousTestCase):
    """DNSKEY and DS."""

    def test_rfc_6605(self) -> None:
        """The key of RFC 6605 has the DNSKEY, the tag and the DS that stand there."""
        zone = parse_name("example.net")
        self.assertEqual(dnskey_text(zone, RFC6605_KEY.dnskey), f"example.net. IN DNSKEY 257 3 13 {P256_PUBLIC}")
        self.assertEqual(ds_text(zone, RFC6605_KEY.dnskey), f"example.net. IN DS 55648 13 2 {P256_DIGEST}")
        self.assertEqual(RFC6605_KEY.tag, 55648)

    def test_rfc_4509(self) -> None:
        """Tag and digest of the key in RFC 4509, of odd length."""
        self.assertEqual(key_tag(RSA_DNSKEY), 60485)
        self.assertEqual(ds_rdata(parse_name("dskey.example.com"), RSA_DNSKEY).hex(), RSA_DS)
