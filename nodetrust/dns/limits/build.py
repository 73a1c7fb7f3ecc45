"""From the settings to the limits of a process, and the file with the root of its cookies' secrets."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

from nodetrust.dns.limits.cookies import ROOT_BYTES, Cookies, rotating_secrets
from nodetrust.dns.limits.gate import Gate
from nodetrust.dns.limits.rates import EXEMPT, RateLimiter
from nodetrust.dns.lists.prefixes import read_network
from nodetrust.dns.settings import DnsSettings
from nodetrust.files import replace_file

ROOT_FILE = "cookie.key"
"""In the state folder. Name servers of one zone that share an address share its content, too."""

_log = Logger()


def build_gate(settings: DnsSettings) -> Gate:
    """The limits that the settings describe. Makes the root of the cookies' secrets if there is none yet."""
    exempt = (*EXEMPT, *map(read_network, settings.rate_limit_exempt))
    limiter = RateLimiter(settings.rate_limit, settings.rate_limit_slip, exempt) if settings.rate_limit else None
    cookies = Cookies(rotating_secrets(load_or_create_root(settings.state / ROOT_FILE))) if settings.cookies else None
    return Gate(limiter, cookies)


def load_or_create_root(path: Path) -> bytes:
    """The root from its file (in hexadecimal), which is made if it is missing or holds something else.

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
