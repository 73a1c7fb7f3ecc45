"""Server cookies: the vectors of RFC 9018 appendix A, and when a cookie counts."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.limits.cookies import Cookies, is_cookie, rotating_secrets

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
ROLLED_OVER = bytes.fromhex("445536bcd2513298075a5d379663c962")
CLIENT = bytes.fromhex("2464c4abcf10c957")
SOURCE = ip_address("198.51.100.100").packed
MADE_AT = 1559731985
MADE = bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")
DAY = 86400


class CookieVectorTests(SynchronousTestCase):
    """RFC 9018 appendix A."""

    def setUp(self) -> None:
        self.cookies = Cookies(lambda _: SECRET)

    def test_learning(self) -> None:
        """A.1: who sends a client cookie learns ours."""
        self.assertEqual(self.cookies.renew(CLIENT, SOURCE, MADE_AT), MADE)

    def test_renewed(self) -> None:
        """A.2: after 40 minutes the cookie is valid, and gets replaced."""
        later = MADE_AT + 2400
        self.assertTrue(self.cookies.is_valid(MADE, SOURCE, later))
        expected = bytes.fromhex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77")
        self.assertEqual(self.cookies.renew(MADE, SOURCE, later), expected)

    def test_reserved_octets(self) -> None:
        """A.3: reserved octets that are set are part of what is hashed, and no fault."""
        source = ip_address("203.0.113.203").packed
        old = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
        self.assertTrue(self.cookies.is_valid(old, source, 1559727985 + 1800))
        expected = bytes.fromhex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
        self.assertEqual(self.cookies.renew(old, source, 1559734700), expected)

    def test_ipv6_and_a_new_secret(self) -> None:
        """A.4: a new secret makes new cookies, over all 16 octets of an IPv6 address."""
        source = ip_address("2001:db8:220:1:59de:d0f4:8769:82b8").packed
        client = bytes.fromhex("22681ab97d52c298")
        expected = bytes.fromhex("22681ab97d52c298010000005cf7c609a6bb79d16625507a")
        self.assertEqual(Cookies(lambda _: ROLLED_OVER).renew(client, source, 1559741961), expected)


class CookieTests(SynchronousTestCase):
    """`Cookies`."""

    def setUp(self) -> None:
        self.cookies = Cookies(rotating_secrets(bytes(32)))

    def test_life(self) -> None:
        """A cookie counts for an hour, and from five minutes before its time, for clocks differ."""
        made = self.cookies.renew(CLIENT, SOURCE, MADE_AT)
        for now, valid in ((-301, False), (-300, True), (0, True), (3600, True), (3601, False), (10 * DAY, False)):
            self.assertEqual(self.cookies.is_valid(made, SOURCE, MADE_AT + now), valid, now)

    def test_young_cookies_stay(self) -> None:
        """For half an hour a client gets its own cookie back."""
        made = self.cookies.renew(CLIENT, SOURCE, MADE_AT)
        self.assertEqual(self.cookies.renew(made, SOURCE, MADE_AT + 1800), made)
        self.assertNotEqual(self.cookies.renew(made, SOURCE, MADE_AT + 1801), made)

    def test_one_address_alone(self) -> None:
        """A cookie is worth nothing at another address, with another client half, or with any bit changed."""
        made = self.cookies.renew(CLIENT, SOURCE, MADE_AT)
        self.assertFalse(self.cookies.is_valid(made, ip_address("198.51.100.101").packed, MADE_AT))
        for bit in range(8 * len(made)):
            changed = bytearray(made)
            changed[bit // 8] ^= 1 << bit % 8
            self.assertFalse(self.cookies.is_valid(bytes(changed), SOURCE, MADE_AT), bit)

    def test_secrets_rotate(self) -> None:
        """Each day has its secret; a cookie of the last minute before midnight lives its hour all the same."""
        secrets = rotating_secrets(bytes(range(32)))
        self.assertEqual(len({secrets(day * DAY) for day in range(100)}), 100)
        midnight = MADE_AT // DAY * DAY
        made = self.cookies.renew(CLIENT, SOURCE, midnight - 60)
        self.assertTrue(self.cookies.is_valid(made, SOURCE, midnight + 1800))

    def test_others_have_other_secrets(self) -> None:
        """A cookie made under another root is not valid here."""
        made = Cookies(rotating_secrets(b"x" * 32)).renew(CLIENT, SOURCE, MADE_AT)
        self.assertFalse(self.cookies.is_valid(made, SOURCE, MADE_AT))

    def test_2106(self) -> None:
        """The time in a cookie has 32 bits and goes on when they are full."""
        made = self.cookies.renew(CLIENT, SOURCE, (1 << 32) - 10)
        self.assertTrue(self.cookies.is_valid(made, SOURCE, (1 << 32) + 10))

    @given(st.binary(max_size=50), st.floats(0, 1e10))
    def test_garbage(self, data: bytes, now: float) -> None:
        """Whatever a client sends as its cookie is no valid one, and the answer has a whole one if it has a length."""
        self.assertFalse(self.cookies.is_valid(data, SOURCE, now))
        if is_cookie(data):
            renewed = self.cookies.renew(data, SOURCE, now)
            self.assertEqual((len(renewed), renewed[:8]), (24, data[:8]))
            self.assertTrue(self.cookies.is_valid(renewed, SOURCE, now))

    def test_lengths(self) -> None:
        """RFC 7873 §4: 8 octets, or 16 to 40."""
        self.assertEqual([size for size in range(60) if is_cookie(bytes(size))], [8, *range(16, 41)])
