"""The datagrams of PCP."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoAnswerError, NoPublicAddressError, PortMapError, RefusedError
from nodetrust.portmap.pcp.wire import (
    MAX_BYTES,
    MapAnswer,
    decode_announce_answer,
    decode_map_answer,
    encode_announce_request,
    encode_map_request,
)

OWN = IPv4Address("192.168.1.20")
OWN_MAPPED = "00000000000000000000ffff c0a80114"
NONCE = bytes.fromhex("000102030405060708090a0b")
EXTERNAL = IPv4Address("198.51.100.7")
MAPPING = f"{NONCE.hex()} 06 000000 115b 115c 00000000000000000000ffff c6336407"
MAP_ANSWER = bytes.fromhex(f"02 81 00 00 00000e10 00000005 {'00' * 12} {MAPPING}")
ANNOUNCE_ANSWER = bytes.fromhex(f"02 80 00 00 00000000 00000005 {'00' * 12}")


def refused(code: int, answer: bytes = MAP_ANSWER) -> bytes:
    return answer[:3] + bytes((code,)) + answer[4:]


class RequestTests(SynchronousTestCase):
    def test_announce(self) -> None:
        """RFC 6887 §7.1, §14.1: the header alone, with our address as an IPv4-mapped one."""
        self.assertEqual(encode_announce_request(OWN), bytes.fromhex(f"02 00 0000 00000000 {OWN_MAPPED}"))

    def test_map(self) -> None:
        """RFC 6887 §11.1: the nonce, protocol 6, both ports, and no wish for an address."""
        self.assertEqual(
            encode_map_request(OWN, NONCE, 4443, 4444, 3600),
            bytes.fromhex(
                f"02 01 0000 00000e10 {OWN_MAPPED} {NONCE.hex()} 06 000000 115b 115c 00000000000000000000ffff 00000000"
            ),
        )


class AnswerTests(SynchronousTestCase):
    def test_map(self) -> None:
        """RFC 6887 §7.2, §11.1: the lifetime is in the header, the rest behind it."""
        self.assertEqual(decode_map_answer(MAP_ANSWER, NONCE, 4443), MapAnswer(EXTERNAL, 4444, 3600))

    def test_options(self) -> None:
        """Options behind the mapping change nothing."""
        self.assertIsNotNone(decode_map_answer(MAP_ANSWER + bytes(8), NONCE, 4443))

    def test_not_ours(self) -> None:
        """Another nonce or port, another protocol, a request: no answer, be it good or a refusal (§11.4)."""
        for answer in (MAP_ANSWER, refused(2)):
            self.assertIsNone(decode_map_answer(answer, bytes(12), 4443))
            self.assertIsNone(decode_map_answer(answer, NONCE, 4442))
            self.assertIsNone(decode_map_answer(answer[:36] + b"\x11" + answer[37:], NONCE, 4443))
        self.assertIsNone(decode_map_answer(encode_map_request(OWN, NONCE, 4443, 4444, 3600), NONCE, 4443))
        self.assertIsNone(decode_map_answer(ANNOUNCE_ANSWER, NONCE, 4443))

    def test_cut_or_long(self) -> None:
        """Whatever is missing at the end, or too much, it is no answer."""
        for length in range(len(MAP_ANSWER)):
            self.assertIsNone(decode_map_answer(MAP_ANSWER[:length], NONCE, 4443))
        self.assertIsNone(decode_map_answer(MAP_ANSWER + bytes(MAX_BYTES), NONCE, 4443))

    def test_refusals(self) -> None:
        """Every result code of RFC 6887 §7.4 has words of its own, and one that is new has its number."""
        said = set()
        for code in range(2, 15):
            error = self.assertRaises(RefusedError, decode_map_answer, refused(code), NONCE, 4443)
            said.add(str(error))
            self.assertEqual(isinstance(error, NoPublicAddressError), code == 7)
        self.assertEqual(len(said), 13)
        self.assertIn("it refuses with the unknown code 14", said)

    def test_other_version(self) -> None:
        """A gateway that speaks another version of PCP, or NAT-PMP alone (§9), does not speak PCP."""
        for answer in (b"\x01" + refused(1)[1:], refused(1), bytes.fromhex("00 81 0001 00000001")):
            self.assertRaises(NoAnswerError, decode_map_answer, answer, NONCE, 4443)
        self.assertIsNone(decode_map_answer(b"\x03" + MAP_ANSWER[1:], NONCE, 4443))

    def test_ipv6(self) -> None:
        """An external address of IPv6 is not what was asked for."""
        answer = MAP_ANSWER[:44] + b"\x20\x01" + bytes(14)
        self.assertRaises(RefusedError, decode_map_answer, answer, NONCE, 4443)

    def test_announce(self) -> None:
        """Whoever answers speaks PCP, also with a refusal; what is no answer says nothing."""
        self.assertTrue(decode_announce_answer(ANNOUNCE_ANSWER))
        self.assertTrue(decode_announce_answer(refused(4, ANNOUNCE_ANSWER)))
        self.assertIsNone(decode_announce_answer(MAP_ANSWER))
        self.assertIsNone(decode_announce_answer(encode_announce_request(OWN)))

    @given(st.binary(min_size=12, max_size=12), *[st.integers(0, 0xFFFF)] * 2, st.integers(0, 0xFFFFFFFF))
    def test_round_trip(self, nonce: bytes, internal: int, external: int, lifetime: int) -> None:
        """A gateway that says yes to a request is understood."""
        request = encode_map_request(OWN, nonce, internal, external, lifetime)
        answer = bytes((2, 0x81, 0, 0)) + request[4:8] + bytes(16) + request[24:56] + EXTERNAL.packed
        self.assertEqual(decode_map_answer(answer, nonce, internal), MapAnswer(EXTERNAL, external, lifetime))

    @given(st.binary(max_size=80))
    def test_garbage(self, data: bytes) -> None:
        """Anything is an answer, none, or an error of ours."""
        for octets in (data, b"\x02\x81" + data):
            for decode in (decode_announce_answer, lambda one: decode_map_answer(one, NONCE, 4443)):
                try:
                    decode(octets)
                except PortMapError:
                    continue
