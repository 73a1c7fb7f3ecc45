"""The messages between the roles, their protocol IDs and their largest sizes.

``proto/nodetrust.proto`` describes the fields; ``nodetrust_pb2`` is generated from it by ``proto/compile.py``. On a
stream each message has its length in front (``nodetrust.libp2p.framing``). Read what a peer sent with :func:`parse`
alone: the protobuf runtime takes messages that lack required fields, and gives bytes where text is not UTF-8.
"""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from nodetrust.errors import NodetrustError
from nodetrust.messages.nodetrust_pb2 import (
    E_INVALID_PROOF,
    E_NO_MATCHING_CRYPTO,
    E_NOT_AUTHORIZED,
    E_OTHER,
    E_RATE_LIMIT,
    ECDSA_P256,
    ECDSA_P384,
    OK,
    RSA,
    Address,
    AddressType,
    Announce,
    CertificateAuthority,
    CheckFault,
    CheckRequest,
    CheckResponse,
    CheckResult,
    Crypto,
    DNS01Request,
    DNS01Response,
    Error,
    IPv4,
    IPv6,
    IssueInfo,
    IssueRequest,
    IssueResponse,
    Proof,
    ProofRequest,
    ProofResponse,
    ProofServer,
    ProofWrapper,
)

__all__ = [
    "CHECK_PROTOCOL",
    "DNS01_PROTOCOL",
    "ECDSA_P256",
    "ECDSA_P384",
    "E_INVALID_PROOF",
    "E_NOT_AUTHORIZED",
    "E_NO_MATCHING_CRYPTO",
    "E_OTHER",
    "E_RATE_LIMIT",
    "ISSUE_INFO_PROTOCOL",
    "ISSUE_PROTOCOL",
    "MAX_ANNOUNCE_BYTES",
    "MAX_CHECK_REQUEST_BYTES",
    "MAX_CHECK_RESPONSE_BYTES",
    "MAX_DNS01_REQUEST_BYTES",
    "MAX_DNS01_RESPONSE_BYTES",
    "MAX_ISSUE_INFO_BYTES",
    "MAX_ISSUE_REQUEST_BYTES",
    "MAX_ISSUE_RESPONSE_BYTES",
    "MAX_PROOF_REQUEST_BYTES",
    "MAX_PROOF_RESPONSE_BYTES",
    "OK",
    "PROOF_PROTOCOL",
    "PROOF_PROTOCOL_NONCE",
    "RSA",
    "Address",
    "AddressType",
    "Announce",
    "CertificateAuthority",
    "CheckFault",
    "CheckRequest",
    "CheckResponse",
    "CheckResult",
    "Crypto",
    "DNS01Request",
    "DNS01Response",
    "Error",
    "IPv4",
    "IPv6",
    "InvalidMessage",
    "IssueInfo",
    "IssueRequest",
    "IssueResponse",
    "Proof",
    "ProofRequest",
    "ProofResponse",
    "ProofServer",
    "ProofWrapper",
    "error_name",
    "parse",
    "readable",
]

PROOF_PROTOCOL = "/p2p/nodetrust/proof/1.0.0"
"""The client opens and says nothing; the proof server sends one ProofResponse."""

PROOF_PROTOCOL_NONCE = "/p2p/nodetrust/proof/1.1.0"
"""As 1.0.0, but the client sends a ProofRequest first."""

ISSUE_INFO_PROTOCOL = "/p2p/nodetrust/issue/info/1.0.0"
"""The client opens and says nothing; the issue server sends one IssueInfo."""

ISSUE_PROTOCOL = "/p2p/nodetrust/issue/1.0.0"
"""The client sends one IssueRequest, the issue server one IssueResponse."""

DNS01_PROTOCOL = "/p2p/nodetrust/dns-01/1.0.0"
"""The issue server sends DNS01Requests, the DNS server a DNS01Response for each, in their order."""

CHECK_PROTOCOL = "/p2p/nodetrust/check/1.0.0"
"""The client sends one CheckRequest; the issue or proof server dials the addresses, and sends one CheckResponse."""

# Largest serialized sizes, without the length in front. Ours: 2018 set none. Each is several times the largest honest
# message: an RSA signature of 8192 bits has 1 KiB, a chain of three RSA-4096 certificates in PEM about 7 KiB, twice.
MAX_PROOF_REQUEST_BYTES = 256
MAX_PROOF_RESPONSE_BYTES = 8 * 1024
MAX_ISSUE_INFO_BYTES = 64 * 1024
MAX_ISSUE_REQUEST_BYTES = 64 * 1024
MAX_ISSUE_RESPONSE_BYTES = 128 * 1024
MAX_DNS01_REQUEST_BYTES = 2 * 1024
MAX_DNS01_RESPONSE_BYTES = 2 * 1024
MAX_ANNOUNCE_BYTES = 16 * 1024
MAX_CHECK_REQUEST_BYTES = 8 * 1024
MAX_CHECK_RESPONSE_BYTES = 16 * 1024

MAX_TEXT_CHARACTERS = 500
"""Of what a server says to people."""


class InvalidMessage(NodetrustError):
    """Bytes that are not the protobuf message which belongs here."""


_AnyMessage = TypeVar("_AnyMessage", bound=Message)


def parse(kind: type[_AnyMessage], data: bytes) -> _AnyMessage:
    """Read a message of *kind*, whose size was checked by the framing.

    :raise InvalidMessage: it does not parse, lacks a required field, has an unknown number for one, or text that is not
        UTF-8.
    """
    try:
        message = kind.FromString(data)
    except DecodeError as error:
        raise InvalidMessage(f"not a {kind.__name__}: {error}") from None
    if not message.IsInitialized():
        raise InvalidMessage(f"a {kind.__name__} that lacks a required field")
    _check_text(message)
    return message


def _check_text(message: Message) -> None:
    for field, value in message.ListFields():
        values = value if field.is_repeated else (value,)
        if field.type == field.TYPE_MESSAGE:
            for inner in values:
                _check_text(inner)
        elif field.type == field.TYPE_STRING and not all(isinstance(text, str) for text in values):
            raise InvalidMessage(f"{field.full_name} is not UTF-8")


def error_name(code: int) -> str:
    """The name of an error number, or the number of one that we do not know."""
    return Error.Name(code) if code in Error.values() else str(code)


def readable(text: str) -> str:
    """What a server says, fit for a terminal and a log: printable, and not endless."""
    return "".join(character if character.isprintable() else " " for character in text[:MAX_TEXT_CHARACTERS])
