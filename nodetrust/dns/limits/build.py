"""From the settings to the limits of a process, and the file with the root of its cookies' secrets."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

from nodetrust.dns.limits.cookies import ROOT_BYTES, Cookies, rotating_secrets
from nodetrust.dns.limits.gate import Gate
from nodetrust.dns.limits.rates import EXEMPT, RateLimiter
from nodetrust.dns.settings import DnsSettings
from nodetrust.files import replace_file
from nodetrust.lists.prefixes import read_network

ROOT_FILE = "cookie.key"
"""In the state folder. Name servers of one zone that share an address share its content, too."""

_log = Logger()


def build_gate(settings: DnsSettings, cookie_root: bytes) -> Gate:
    """The limits that the settings describe, for one of the `workers`: a source's ports spread over all of them, so
    each has its share of the rate. All have the same `cookie_root`, and take each other's cookies."""
    exempt = (*EXEMPT, *map(read_network, settings.rate_limit_exempt))
    rate = -(-settings.rate_limit // settings.workers)
    limiter = RateLimiter(rate, settings.rate_limit_slip, exempt) if rate else None
    return Gate(limiter, Cookies(rotating_secrets(cookie_root)) if settings.cookies else None)


def load_or_create_root(path: Path) -> bytes:
    """The root of the cookies' secrets from its file (in hexadecimal), made if it is missing or holds something else.

    Where it cannot be kept, the cookies end with the process: clients get others.
    """
    root = _load(path)
    if root is not None:
        return root
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, os.urandom(ROOT_BYTES).hex().encode() + b"\n")
    except OSError as error:
        _log.warn("{path} cannot be written: {reason}", path=str(path), reason=error.strerror)
    return _load(path) or os.urandom(ROOT_BYTES)


def _load(path: Path) -> bytes | None:
    try:
        root = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError):
        return None
    return root if len(root) == ROOT_BYTES else None
