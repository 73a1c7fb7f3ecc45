"""The datagrams of NAT-PMP."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoAnswerError, NoPublicAddressError, PortMapError, RefusedError
from nodetrust.portmap.natpmp.wire import (
    AddressAnswer,
    MapAnswer,
    decode_address_answer,
    decode_map_answer,
    encode_address_request,
    encode_map_request,
)

ADDRESS_ANSWER = bytes.fromhex("00 80 0000 00000e10 c6336407")
MAP_ANSWER = bytes.fromhex("00 82 0000 00000e10 115b 115c 00001c20")
PORTS = st.integers(0, 0xFFFF)
NUMBERS = st.integers(0, 0xFFFFFFFF)


class RequestTests(SynchronousTestCase):
    def test_address(self) -> None:
        """RFC 6886 §3.2: two octets, version 0 and opcode 0."""
        self.assertEqual(encode_address_request(), bytes.fromhex("00 00"))

    def test_map(self) -> None:
        """RFC 6886 §3.3: opcode 2 for TCP, two reserved octets, both ports, the lifetime."""
        self.assertEqual(encode_map_request(4443, 4444, 7200), bytes.fromhex("00 02 0000 115b 115c 00001c20"))

    def test_unmap(self) -> None:
        """RFC 6886 §3.4: the external port and the lifetime are 0."""
        self.assertEqual(encode_map_request(4443, 0, 0), bytes.fromhex("00 02 0000 115b 0000 00000000"))


class AnswerTests(SynchronousTestCase):
    def test_address(self) -> None:
        """RFC 6886 §3.2: the epoch, then the address."""
        self.assertEqual(decode_address_answer(ADDRESS_ANSWER), AddressAnswer(3600, IPv4Address("198.51.100.7")))

    def test_map(self) -> None:
        """RFC 6886 §3.3: the epoch, both ports, the lifetime."""
        self.assertEqual(decode_map_answer(MAP_ANSWER, 4443), MapAnswer(3600, 4444, 7200))

    def test_other_port(self) -> None:
        """An answer for another port is none."""
        self.assertIsNone(decode_map_answer(MAP_ANSWER, 4442))

    def test_other_question(self) -> None:
        """An answer to another question is none, nor is a request."""
        self.assertIsNone(decode_address_answer(MAP_ANSWER))
        self.assertIsNone(decode_map_answer(ADDRESS_ANSWER, 4443))
        self.assertIsNone(decode_map_answer(encode_map_request(4443, 4444, 7200), 4443))

    def test_cut(self) -> None:
        """Whatever is missing at the end, it is no answer."""
        for length in range(len(ADDRESS_ANSWER)):
            self.assertIsNone(decode_address_answer(ADDRESS_ANSWER[:length]))
        for length in range(len(MAP_ANSWER)):
            self.assertIsNone(decode_map_answer(MAP_ANSWER[:length], 4443))

    def test_refusals(self) -> None:
        """Every result code of RFC 6886 §3.5 has words, and one that is new has its number; 8 octets are enough."""
        for code, words in ((2, "allow"), (3, "internet"), (4, "room"), (5, "kind"), (77, "77")):
            refusal = bytes.fromhex(f"00 82 {code:04x} 00000001")
            error = self.assertRaises(RefusedError, decode_map_answer, refusal, 4443)
            self.assertIn(words, str(error))
            self.assertEqual(isinstance(error, NoPublicAddressError), code == 3)

    def test_other_version(self) -> None:
        """Code 1: the gateway speaks another version, which is as good as no NAT-PMP."""
        self.assertRaises(NoAnswerError, decode_address_answer, bytes.fromhex("00 80 0001 00000001"))

    @given(PORTS, PORTS, NUMBERS, NUMBERS)
    def test_round_trip(self, internal: int, external: int, lifetime: int, epoch: int) -> None:
        """A gateway that says yes to a request is understood."""
        request = encode_map_request(internal, external, lifetime)
        answer = b"\x00\x82\x00\x00" + epoch.to_bytes(4, "big") + request[4:]
        self.assertEqual(decode_map_answer(answer, internal), MapAnswer(epoch, external, lifetime))

    @given(st.binary(max_size=40))
    def test_garbage(self, data: bytes) -> None:
        """Anything is an answer, none, or an error of ours."""
        for decode in (decode_address_answer, lambda octets: decode_map_answer(octets, 4443)):
            try:
                decode(data)
            except PortMapError:
                continue
