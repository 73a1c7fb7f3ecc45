"""The messages of 2018, and what :func:`parse` refuses."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust import messages
from nodetrust.messages import (
    Address,
    InvalidMessage,
    IssueInfo,
    IssueRequest,
    IssueResponse,
    Proof,
    ProofResponse,
    ProofWrapper,
    parse,
)
from tests import vectors

V2018 = vectors.load("nodetrust-2018.json")["messages"]


class MessagesTests(SynchronousTestCase):
    def test_2018(self) -> None:
        """Every message that JavaScript wrote in 2018 is read, and written again to the byte."""
        self.assertEqual(len(V2018), 13)
        for name, vector in V2018.items():
            data = bytes.fromhex(vector["message"])
            self.assertEqual(parse(getattr(messages, vector["type"]), data).SerializeToString(), data, name)

    def test_2018_fields(self) -> None:
        """The fields hold what the vectors say."""
        info = parse(IssueInfo, bytes.fromhex(V2018["issue_info"]["message"]))
        self.assertEqual(info.domain, "nt.example.org")
        self.assertEqual(parse(ProofResponse, bytes.fromhex(V2018["proof_response_error"]["message"])).error, 9)
        response = parse(IssueResponse, bytes.fromhex(V2018["issue_response"]["message"]))
        self.assertEqual((response.validity, response.fromCache, response.cryptoType), (1790000000071, True, 1))
        fields: dict[str, Any] = V2018["proof_wrapper_ed25519"]["fields"]
        proof = parse(Proof, bytes.fromhex(fields["signed_bytes"]))
        self.assertEqual([proof.id.hex(), proof.timestamp], [fields["id"], fields["timestamp"]])
        self.assertEqual([[a.type, a.address] for a in proof.addrs], fields["addrs"])

    def test_missing_field(self) -> None:
        """A required field that is missing, also deep inside, or that has an unknown number, is refused."""
        for kind, data in (
            (Address, b""),
            (Address, b"\x08\x01"),
            (Address, b"\x08\x07\x12\x01x"),
            (ProofWrapper, b"\x0a\x00"),
            (IssueRequest, b"\x0a\x02\x0a\x00"),
            (ProofResponse, b"\x08\x05"),
        ):
            self.assertRaises(InvalidMessage, parse, kind, data)

    def test_bad_text(self) -> None:
        """Text that is not UTF-8 is refused, also inside another message."""
        bad = b"\x08\x01\x12\x02\xff\xfe"
        self.assertRaises(InvalidMessage, parse, Address, bad)
        proof = b"\x0a\x01x\x10\x01\x1a\x06" + bad
        self.assertIn("address", str(self.assertRaises(InvalidMessage, parse, Proof, proof)))
        self.assertEqual(parse(Proof, b"\x0a\x01x\x10\x01").id, b"x")

    @given(st.binary(max_size=80))
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are a message or InvalidMessage."""
        for kind in (Proof, IssueRequest, IssueInfo, IssueResponse, ProofResponse):
            try:
                self.assertTrue(parse(kind, data).IsInitialized())
            except InvalidMessage:
                continue
