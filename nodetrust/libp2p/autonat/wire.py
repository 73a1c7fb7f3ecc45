"""The messages as values and as bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import DecodeError

from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import autonat_pb2 as pb

DIAL_REQUEST = "/libp2p/autonat/2/dial-request"
DIAL_BACK = "/libp2p/autonat/2/dial-back"

MAX_MESSAGE_BYTES = 8192
"""go-libp2p's, of what goes over the first stream."""

MAX_DIAL_BACK_BYTES = 1024
"""go-libp2p's, of what goes over the second one."""

MAX_DATA_BYTES = 100_000
"""The specification's bound on what a server may ask for before it dials an address that is not the asker's own."""

DATA_BYTES = 4096
"""The specification's most, of one message of such data."""


@dataclass(frozen=True, slots=True)
class DataWanted:
    """The server wants so many bytes first: whoever has it dial somebody else shall have sent more than that gets."""

    bytes: int


@dataclass(frozen=True, slots=True)
class Dialled:
    """What came of it: whether the server says that it has met us; None where it has not dialled."""

    reached: bool | None


FromServer: TypeAlias = DataWanted | Dialled


def dial_request(address: Multiaddr, nonce: int) -> bytes:
    """Have one address dialled, which has no /p2p."""
    return pb.Message(dialRequest=pb.DialRequest(addrs=[bytes(address)], nonce=nonce)).SerializeToString()


def data(wanted: int) -> list[bytes]:
    """The messages with the bytes that a server wants."""
    sizes = [min(DATA_BYTES, wanted - at) for at in range(0, wanted, DATA_BYTES)]
    return [pb.Message(dialDataResponse=pb.DialDataResponse(data=bytes(size))).SerializeToString() for size in sizes]


def from_server(message: bytes) -> FromServer:
    """What the server says; raises `InvalidData`, also where it wants too much."""
    try:
        read = pb.Message.FromString(message)
    except DecodeError as error:
        raise InvalidData("not a message of AutoNAT") from error
    if read.HasField("dialDataRequest"):
        wanted = read.dialDataRequest.numBytes
        if wanted > MAX_DATA_BYTES:
            raise InvalidData(f"a server that wants {wanted} bytes, allowed are {MAX_DATA_BYTES}")
        return DataWanted(wanted)
    if not read.HasField("dialResponse"):
        raise InvalidData("a message of AutoNAT that no server sends")
    response = read.dialResponse
    if response.status != pb.DialResponse.OK:
        return Dialled(None)
    return Dialled({pb.OK: True, pb.E_DIAL_BACK_ERROR: True, pb.E_DIAL_ERROR: False}.get(response.dialStatus))


def read_nonce(message: bytes) -> int:
    """Of a dial-back; raises `InvalidData`."""
    try:
        return pb.DialBack.FromString(message).nonce
    except DecodeError as error:
        raise InvalidData("not a dial-back of AutoNAT") from error


def dial_back_taken() -> bytes:
    """The answer to a dial-back."""
    return pb.DialBackResponse(status=pb.DialBackResponse.OK).SerializeToString()
