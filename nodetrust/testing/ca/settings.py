"""What can be chosen about a development CA, misbehaviour included."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

_DEFAULT_PROFILES = MappingProxyType({"default": timedelta(days=90), "shortlived": timedelta(hours=160)})


@dataclass(frozen=True, slots=True)
class CASettings:
    """How this CA behaves.

    `bad_nonce_rate`: of good nonces, how many are refused nevertheless, 0 to 1 (Pebble's default is 0.05; a client that
    cannot cope fails here first). `authorization_reuse`: how often a valid authorization serves a second order, 0 to 1.
    `refused`: names, and parents of names, that no certificate is given for. `profiles`: their names and lifetimes.
    `rate_limited_seconds`: every new order is refused with this Retry-After. `retry_after_seconds`: sent while a client
    waits; without it clients poll as fast as they like. `lists_orders`: an account has a list of its orders, as with
    Pebble and not with Let's Encrypt. `tries_again`: a challenge whose proof was not found stays `pending`, with the
    error, until the client sends it again, as with step-ca (RFC 8555 §8.2). `caa_identities`: what it says that CAA
    records call it; it looks at none.
    """

    bad_nonce_rate: float = 0.05
    authorization_reuse: float = 0.0
    refused: tuple[str, ...] = ()
    profiles: Mapping[str, timedelta] = field(default_factory=lambda: _DEFAULT_PROFILES)
    rate_limited_seconds: int | None = None
    retry_after_seconds: int | None = None
    lists_orders: bool = True
    tries_again: bool = False
    caa_identities: tuple[str, ...] = ()
