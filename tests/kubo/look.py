"""Looks from another host's network namespace, as `ip netns exec` runs it there.

`python -m tests.kubo.look certificate HOST PORT NAME ROOTS` prints the certificate (PEM) that is served for a name, if
one of the roots vouches for it; `python -m tests.kubo.look page URL` what is at a URL.
"""

import socket
import ssl
import sys
import urllib.request
from collections.abc import Callable

SECONDS = 60


def certificate(host: str, port: str, name: str, roots: str) -> str:
    """The leaf. Raises OSError, of which a certificate that is not trusted is a kind."""
    context = ssl.create_default_context(cafile=roots)
    with (
        socket.create_connection((host, int(port)), SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der)


def page(url: str) -> str:
    """What a GET answers. Raises OSError."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        text: str = answer.read().decode()
    return text


LOOKS: dict[str, Callable[..., str]] = {"certificate": certificate, "page": page}

if __name__ == "__main__":
    print(LOOKS[sys.argv[1]](*sys.argv[2:]), end="")
