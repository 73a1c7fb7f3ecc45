"""What an answer says, in one short line that two servers' answers can be compared by. Reads bytes, trusts nobody."""

import struct

RCODES = {
    0: "NOERROR",
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
    9: "NOTAUTH",
    16: "BADVERS",
}
FLAGS = {0x0400: "aa", 0x0200: "tc", 0x0100: "rd", 0x0080: "ra", 0x0040: "z", 0x0020: "ad", 0x0010: "cd"}
DROP = "drop"
_OPT = 41


class Malformed(Exception):
    """An answer that is no DNS message."""


def _skip_name(packet: bytes, offset: int) -> int:
    while length := packet[offset]:
        if length & 0xC0 == 0xC0:
            return offset + 2
        offset += 1 + length
    return offset + 1


def summarise(answer: bytes | None, query: bytes) -> str:
    """RCODE, flags, how many records in answer (a) and authority (n), and the EDNS version (E), or "drop".

    Of errors that say that the message was not understood only the code counts: whether such an answer repeats the
    question and OPT is left to the server (RFC 1035 §4.1.1, RFC 6891 §7). Raises Malformed.
    """
    if answer is None:
        return DROP
    try:
        return _summarise(answer, query)
    except (struct.error, IndexError) as error:
        raise Malformed(f"{answer.hex()}: {error}") from None


def _summarise(answer: bytes, query: bytes) -> str:
    id_, flags, questions, *counts = struct.unpack_from("!6H", answer)
    if answer[:2] != query[:2]:
        raise Malformed(f"the ID is {id_:#06x}")
    if not flags & 0x8000 or (flags ^ (query[2] << 8)) & 0x7800:
        raise Malformed(f"flags {flags:#06x}: no response, or another opcode")
    offset = 12
    for _ in range(questions):
        offset = _skip_name(answer, offset) + 4
    if questions and answer[12:offset] != query[12:offset]:
        raise Malformed("another question, or another case")
    rcode, edns = flags & 0xF, ""
    for _ in range(sum(counts)):
        offset = _skip_name(answer, offset)
        type_, _class, ttl, length = struct.unpack_from("!HHIH", answer, offset)
        offset += 10 + length
        if type_ == _OPT:
            rcode |= ttl >> 24 << 4
            edns = f" E{ttl >> 16 & 0xFF}"
    if offset != len(answer):
        raise Malformed(f"ends at {offset} of {len(answer)}")
    name = RCODES.get(rcode, str(rcode))
    if name in ("FORMERR", "NOTIMP"):
        return name
    shown = "".join(f" {flag}" for bit, flag in FLAGS.items() if flags & bit)
    return f"{name}{shown} a{counts[0]} n{counts[1]}{edns}"
