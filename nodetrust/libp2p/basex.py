"""Positional codecs: bytes as one big number, written in the digits of an alphabet.

Each leading zero byte is written as one leading zero digit, so that bytes come back exactly.
"""

from nodetrust.libp2p.errors import InvalidBase

MAX_BYTES = 128
"""Converting costs the square of the length, so that it has a limit: three times the largest peer ID."""

_CHUNK_PAIRS = 5
"""Digits are handled in chunks that fit a machine word: long arithmetic is done once a chunk, not once a digit."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # what int() reads


class BaseX:
    """The codec of one alphabet, whose first character is the digit zero. Case matters."""

    __slots__ = ("_int_digits", "_pairs", "_values", "alphabet", "max_characters", "name")

    def __init__(self, name: str, alphabet: str) -> None:
        self.name = name
        self.alphabet = alphabet
        self.max_characters = MAX_BYTES * 8  # one digit a byte for leading zeros, never more than one a bit
        base = len(alphabet)
        self._values = {character: value for value, character in enumerate(alphabet)}
        self._pairs = [high + low for high in alphabet for low in alphabet]
        self._int_digits = str.maketrans(alphabet, _DIGITS[:base]) if base <= len(_DIGITS) else None

    def encode(self, data: bytes) -> str:
        """*data* in this alphabet.

        :raise InvalidBase: more than ``MAX_BYTES``.
        """
        if len(data) > MAX_BYTES:
            raise InvalidBase(f"{len(data)} bytes are too many for {self.name}")
        significant = data.lstrip(b"\0")
        number = int.from_bytes(significant, "big")
        pairs, pair_value = self._pairs, len(self._pairs)
        chunk_value = pair_value**_CHUNK_PAIRS
        digits: list[str] = []
        while number:
            number, chunk = divmod(number, chunk_value)
            for _ in range(_CHUNK_PAIRS):
                chunk, pair = divmod(chunk, pair_value)
                digits.append(pairs[pair])
        digits.reverse()
        zero = self.alphabet[0]
        return zero * (len(data) - len(significant)) + "".join(digits).lstrip(zero)

    def decode(self, text: str) -> bytes:
        """The bytes that *text* spells; the empty text spells none.

        :raise InvalidBase: a character outside the alphabet, or text for more than ``MAX_BYTES``.
        """
        if len(text) > self.max_characters:
            raise InvalidBase(f"{len(text)} characters are too many for {self.name}")
        if text.strip(self.alphabet):  # what is left begins with a stranger
            raise InvalidBase(f"not {self.name}: {text[:80]!r}")
        significant = text.lstrip(self.alphabet[0])
        number = self._number(significant)
        data = bytes(len(text) - len(significant)) + number.to_bytes((number.bit_length() + 7) // 8, "big")
        if len(data) > MAX_BYTES:
            raise InvalidBase(f"text for {len(data)} bytes is too long for {self.name}")
        return data

    def _number(self, digits: str) -> int:
        if self._int_digits is not None:
            return int(digits.translate(self._int_digits) or "0", len(self.alphabet))
        number, base, values = 0, len(self.alphabet), self._values
        for begin in range(0, len(digits), 2 * _CHUNK_PAIRS):
            chunk, weight = 0, 1
            for character in digits[begin : begin + 2 * _CHUNK_PAIRS]:
                chunk = chunk * base + values[character]
                weight *= base
            number = number * weight + chunk
        return number


BASE58BTC = BaseX("base58btc", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
"""The alphabet of peer IDs (libp2p/specs peer-ids)."""

BASE36 = BaseX("base36", _DIGITS)
"""multibase ``k``, in lower case."""

BASE36_LETTERS_FIRST = BaseX("base36 (a-z0-9)", "abcdefghijklmnopqrstuvwxyz0123456789")
"""The alphabet of nodetrust's peer labels of 2018 ("id0")."""
