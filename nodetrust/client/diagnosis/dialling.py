"""What a failed dial means, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.libp2p.errors import DialError, NoAnswer, PortClosed, Timeout, TlsFailed, WrongPeer


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence without its subject, and what to do."""

    found: str
    advice: str = ""


def trouble(error: Exception) -> Trouble:
    """What is wrong with the address of a server whose dial failed with `error`."""
    cause = error.cause if isinstance(error, DialError) else error
    for kind, known in _KNOWN.items():
        if isinstance(cause, kind):
            return known
    return Trouble(f"cannot be reached: {cause}", "see that the address is right, and that the server runs")


_SILENT = Trouble(
    "does not answer", "see that the address is right and the machine is up, and that no firewall drops the connection"
)

_KNOWN: dict[type[Exception], Trouble] = {
    PortClosed: Trouble(
        "refuses the connection: nobody listens on that port",
        "see that the server runs, and that this is the address which it logs at its start",
    ),
    NoAnswer: _SILENT,
    Timeout: _SILENT,
    TlsFailed: Trouble(
        "shows no certificate for its name that is trusted here",
        "see that the server's certificate is good; a private CA's root is given with --trust-file",
    ),
    WrongPeer: Trouble(
        "is another peer than the address names",
        "take the address anew from the server's log: its key has changed, or another server has that port",
    ),
}
