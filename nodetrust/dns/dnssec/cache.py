"""What was made lately, within bounds: signatures by what they sign, and whole answers by what was asked."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """At most `size` values by key; what was used lately stays.

    Two generations: when the young one is full it becomes the old one, and the old one is dropped, but for what was
    asked for meanwhile. That costs one dictionary lookup where an ordered table would move links at each.
    """

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: bytes) -> V | None:
        """What was kept for `key`, unless it is forgotten."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.keep(key, value)
        return value

    def keep(self, key: bytes, value: V) -> None:
        """Keep a value; to make room, forget others that were not used for the longest."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old = {}, {}


MAX_SIGNATURES = 8_192
"""About 4 MB."""

MAX_ANSWERS = 4_096
"""About 3 MB."""

MAX_ANSWER_BYTES = 512
"""Of one that is kept: so it fits over UDP and TCP, whatever size the asker takes."""

ANSWERS_SECONDS = 5.0
"""How long an answer is repeated without being decided again, should a list of addresses change meanwhile."""

_NUL_TYPE_OPT = b"\0\0\x29"
_ONE_QUESTION_AND_OPT = b"\0\1\0\0\0\0\0\1"
_OPT_BYTES = 11  # of an OPT without options: root, type, size, flags, length
_QUESTION_OFFSET = 12
_DO = b"\x80"
_TC = 0x02


class RecentAnswers:
    """Signed answers by their question, whatever its case: from bytes to bytes.

    Only a query that is nothing but a header, a question and an OPT with DO and no options is looked for. The rest of
    it must be the same in every bit but the ID and the case of the name. An answer never has the name in it again
    (owners point to the question), so the asker's own question stands in front of the rest.
    """

    def __init__(self, size: int = MAX_ANSWERS, seconds: float = ANSWERS_SECONDS) -> None:
        self._answers: Recent[tuple[bytes, bytes]] = Recent(size)
        self._seconds = seconds
        self._end = 0.0

    def find(self, packet: bytes, now: float) -> bytes | None:
        """The answer to a query, if the same was asked within the last seconds; `now` is monotonic."""
        if not _is_plain(packet):
            return None
        if now >= self._end:
            self._answers.clear()
            self._end = now + self._seconds
            return None
        found = self._answers.get(_key(packet))
        if found is None:
            return None
        return packet[:2] + found[0] + packet[_QUESTION_OFFSET:-_OPT_BYTES] + found[1]

    def keep(self, packet: bytes, response: bytes) -> None:
        """Keep the answer to a query that was read without fault, if it is whole and small."""
        if len(response) <= MAX_ANSWER_BYTES and not response[2] & _TC and _is_plain(packet):
            self._answers.keep(_key(packet), (response[2:_QUESTION_OFFSET], response[len(packet) - _OPT_BYTES :]))

    def clear(self) -> None:
        """Forget all, as when what answers are made from has changed."""
        self._answers.clear()


def _is_plain(packet: bytes) -> bool:
    return (
        packet[-4:-3] >= _DO  # first, for it is what most queries without DO fail at
        and packet[4:_QUESTION_OFFSET] == _ONE_QUESTION_AND_OPT
        and packet[-11:-8] == _NUL_TYPE_OPT
        and packet[-2:] == b"\0\0"
    )


def _key(packet: bytes) -> bytes:
    """All that an answer depends on.

    Only the name is put into lower case: a length octet of a name that was read is below 64, and one that lower()
    changes is above. Type and class are left alone.
    """
    end = -_OPT_BYTES - 4
    return packet[2:4] + packet[_QUESTION_OFFSET:end].lower() + packet[end:]
