"""Anti-replay nonces that the CA gave us and we have not used. Pure. RFC 8555 §6.5."""

import re

_MAX_KEPT = 64  # more than the requests of one order that fly at once
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,256}")


class NoncePool:
    """A bounded stack: the newest nonce is the likeliest to be still good."""

    def __init__(self) -> None:
        self._nonces: list[str] = []

    def __len__(self) -> int:
        return len(self._nonces)

    def put(self, nonce: str | None) -> None:
        """Keep the nonce of an answer, if it had one that is well-formed base64url; the oldest gives way."""
        if nonce is not None and _NONCE.fullmatch(nonce) and len(nonce) % 4 != 1:
            self._nonces.append(nonce)
            del self._nonces[:-_MAX_KEPT]

    def take(self) -> str | None:
        """The newest nonce, which is then gone; None when one must be fetched."""
        return self._nonces.pop() if self._nonces else None
