"""Which URLs a CA may send us to: those of its own directory's origin. Pure.

lego's CVE-2025-54799 was an ACME client that followed a CA from https to http.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from nodetrust.acme.errors import AcmeMisbehaved, AcmeUsageError
from nodetrust.acme.problems import printable

_MAX_URL = 2048  # characters; no CA comes near
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a directory URL (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of_directory(cls, url: str, *, allow_loopback_http: bool = False) -> "Origin":
        """The origin that everything of this CA must have; `AcmeUsageError` unless it is https (or allowed http)."""
        origin = _parse(url)
        if origin is None:
            raise AcmeUsageError(f"not a URL of an ACME directory: {printable(url)}")
        if origin.scheme != "https" and not (allow_loopback_http and origin.is_loopback):
            raise AcmeUsageError(f"the ACME directory must have an https URL, not {printable(url)}")
        return origin

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this very machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check(self, url: object) -> str:
        """The URL, if it is one of this origin, else `AcmeMisbehaved`."""
        if not isinstance(url, str) or _parse(url) != self:
            raise AcmeMisbehaved(f"the CA sent a URL that is not its own: {printable(url)}")
        return url

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def _parse(url: str) -> Origin | None:
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or "\\" in url:
        return None
    return Origin(parts.scheme, parts.hostname, _DEFAULT_PORTS[parts.scheme] if port is None else port)
