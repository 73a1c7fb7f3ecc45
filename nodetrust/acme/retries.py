"""When to ask again: pauses between polls, and which errors are worth a repeat. Pure. RFC 8555 §7.5.1."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

from nodetrust.acme.errors import AcmeError, AcmeProblem
from nodetrust.acme.problems import Reaction, reaction_to

MAX_NONCE_TRIES = 200
"""Tries of a request whose nonces are refused. With 90 % refused (Pebble's hardest) one request in 10⁹ needs more."""

MAX_TROUBLE_TRIES = 4
"""Repeats after the CA was not reached or failed at its own end: about 8 seconds, a restart's worth."""

MAX_BUSY_TRIES = 3
"""Repeats after the CA asked for patience, and for so little of it that the order can wait."""

LOOK_AGAIN_PAUSES = (2.0, 5.0, 12.0)
"""Seconds before a CA is told again to look for a proof; in all, longer than a TXT record of an AutoTLS zone lives."""

_PATIENT_SECONDS = 30.0
_HASTY_NONCE_TRIES = 10  # at once; later ones pause, so that a broken CA is not hammered
_NONCE_PAUSE = 0.05
_TROUBLE_PAUSE = 0.5
_FIRST_POLL, _SLOWEST_POLL, _POLL_GROWTH = 0.05, 5.0, 1.6
_SHORTEST_ASKED = 0.1  # also where a CA asks for less
_LONGEST_RETRY_AFTER = 86_400.0
_JITTER = 0.25


class Retries:
    """The budget of one request."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._nonces = 0
        self._troubles = 0
        self._busy = 0

    def pause_after(self, error: AcmeError) -> float | None:
        """Seconds to wait before this request is sent again; None when `error` shall be raised."""
        match reaction_to(error):
            case Reaction.FRESH_NONCE:
                self._nonces += 1
                pause = 0.0 if self._nonces <= _HASTY_NONCE_TRIES else _NONCE_PAUSE
                return None if self._nonces >= MAX_NONCE_TRIES else jittered(pause, self._random)
            case Reaction.SOON:
                self._troubles += 1
                pause = _TROUBLE_PAUSE * 2 ** (self._troubles - 1)
                return None if self._troubles > MAX_TROUBLE_TRIES else jittered(pause, self._random)
            case Reaction.LATER:
                self._busy += 1
                asked = error.retry_after_seconds if isinstance(error, AcmeProblem) else None
                if asked is None or asked > _PATIENT_SECONDS or self._busy > MAX_BUSY_TRIES:
                    return None
                return jittered(max(asked, _TROUBLE_PAUSE), self._random)
            case _:
                return None


def poll_pause(polls_done: int, retry_after_seconds: float | None, random: Random) -> float:
    """Seconds until the next poll: what the CA asks for, or growing steps of our own; always with jitter."""
    if retry_after_seconds is not None:
        return jittered(max(retry_after_seconds, _SHORTEST_ASKED), random)
    return jittered(min(_FIRST_POLL * _POLL_GROWTH ** min(polls_done, 20), _SLOWEST_POLL), random)


def jittered(seconds: float, random: Random) -> float:
    """The same or up to a quarter longer: many clients that waited together shall not come back together."""
    return seconds * (1 + _JITTER * random.random())


def parse_retry_after(header: str | None, now: datetime, date: str | None = None) -> float | None:
    """Seconds of a Retry-After header (number or HTTP date), 0 to a day; None for none or garbage. RFC 9110 §10.2.3.

    `date` is the answer's own Date header: one of two clocks, ours or the CA's, may be wrong.
    """
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return min(float(header[:9]), _LONGEST_RETRY_AFTER)
    when = _moment(header)
    if when is None:
        return None
    said_at = None if date is None else _moment(date)
    return min(max((when - (said_at or now)).total_seconds(), 0.0), _LONGEST_RETRY_AFTER)


def _moment(header: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
