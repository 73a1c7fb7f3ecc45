"""Which certificate a TLS listener shows, and how a dialer judges the one it is shown.

A `CertificateStore` may change while listeners use it: every new connection asks it again, so a renewed certificate is
in use without a restart, and open connections keep the one they began with. Sources: RFC 6066 §3 (server name),
RFC 6125 §6.4.3 (wildcards), RFC 7301 (ALPN); Mozilla's "intermediate" configuration for servers (version 5.8), less
the finite-field Diffie-Hellman that no browser speaks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL._util import lib as openssl  # pyOpenSSL has no other way to set the groups
from service_identity import VerificationError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.internet.ssl import TLSVersion, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from nodetrust.libp2p.transports.errors import CertificateError

ALPN = b"http/1.1"
"""All we speak inside TLS: RFC 6455 has no WebSocket over HTTP/2."""

CIPHERS = b":".join(
    b"ECDHE-%b-%b" % (signature, cipher)
    for cipher in (b"AES128-GCM-SHA256", b"AES256-GCM-SHA384", b"CHACHA20-POLY1305")
    for signature in (b"ECDSA", b"RSA")
)
"""Of TLS 1.2. All are good, so the client's order counts: it knows what its processor is fast at."""
GROUPS = (b"X25519MLKEM768:X25519:P-256:P-384", b"X25519:P-256:P-384")
"""For the exchange of keys, the second where OpenSSL (before 3.5) does not know all of the first. Its own choice has
P-521 and X448 as well, which no browser needs."""

MAX_NAMES = 64
"""A peer that moves has other names after each move: those of before are served for as long as there is room. Ours."""


@implementer(IOpenSSLServerConnectionCreator)
class CertificateStore:
    """Certificates by the names they are for; the newest one serves whoever names nothing that we know."""

    def __init__(self) -> None:
        self._by_name: dict[str, SSL.Context] = {}
        self._newest: SSL.Context | None = None

    def set(self, names: Iterable[str], key_pem: bytes, fullchain_pem: bytes) -> None:
        """Use this key and chain (leaf first) for `names`, of which any may be `*.parent`, from the next connection on.

        The names' earlier certificates are forgotten, and beyond `MAX_NAMES` those that were set first. Raises
        `CertificateError` and changes nothing if key and chain don't fit.
        """
        context = _server_context(key_pem, fullchain_pem)
        context.set_tlsext_servername_callback(self._choose)
        folded = {name.lower() for name in names}
        self._by_name = {name: old for name, old in self._by_name.items() if name not in folded}
        self._by_name.update(dict.fromkeys(folded, context))
        for name in list(self._by_name)[: max(0, len(self._by_name) - max(MAX_NAMES, len(folded)))]:
            del self._by_name[name]
        self._newest = context

    @property
    def names(self) -> frozenset[str]:
        """Every name for which there is a certificate, in lower case."""
        return frozenset(self._by_name)

    def context_for(self, name: str | None) -> SSL.Context | None:
        """The context for a name: its own, the wildcard's above it, else the newest; none while the store is empty."""
        return (self._own_context(name) if name else None) or self._newest

    def covers(self, name: str) -> bool:
        """Whether a certificate is for this name, itself or by the wildcard above it."""
        return self._own_context(name) is not None

    def _own_context(self, name: str) -> SSL.Context | None:
        folded = name.lower().rstrip(".")
        parent = folded.partition(".")[2]
        return self._by_name.get(folded) or self._by_name.get(f"*.{parent}")

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Start with the newest certificate; the server name, when it arrives, may change it."""
        return SSL.Connection(self._newest or _base_context(), None)

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        context = self.context_for(name.decode("ascii", "replace") if name else None)
        if context is not None and context is not connection.get_context():
            connection.set_context(context)


def _base_context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # Without tickets: the key of those of TLS 1.2 would live as long as the certificate.
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_cipher_list(CIPHERS)
    _set_groups(context)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(_select_alpn)
    return context


def _set_groups(context: SSL.Context) -> None:
    for groups in GROUPS:
        if openssl.SSL_CTX_set1_curves_list(context._context, groups) == 1:
            return
        openssl.ERR_clear_error()  # else the next call on any connection would seem to have failed


def _select_alpn(connection: SSL.Connection, offered: list[bytes]) -> Any:
    # A client that offers h2 alone would not be understood, yet it may still try: no alert, as in Go's servers.
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _server_context(key_pem: bytes, fullchain_pem: bytes) -> SSL.Context:
    context = _base_context()
    try:
        leaf, *issuers = x509.load_pem_x509_certificates(fullchain_pem)
        context.use_certificate(leaf)
        for issuer in issuers:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(load_pem_private_key(key_pem, None))  # type: ignore[arg-type]  # the type is checked there
        context.check_privatekey()
    except (ValueError, TypeError, UnsupportedAlgorithm, SSL.Error) as reason:
        raise CertificateError(f"The certificate can't be used with this key: {reason}") from reason
    return context


def client_options(server_name: str, trust_root: object | None) -> IOpenSSLClientConnectionCreator:
    """How to dial TLS: send `server_name` (unless it is an IP address) and insist on a certificate for it.

    `trust_root` is Twisted's `IOpenSSLTrustRoot`; without one the platform's certificate authorities count.
    """
    return optionsForClientTLS(
        server_name,
        trustRoot=trust_root,  # type: ignore[arg-type]  # zope interfaces are no types to every checker
        acceptableProtocols=[ALPN],
        extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
    )


def describe_tls_failure(reason: BaseException | None) -> str | None:
    """What was wrong with a TLS handshake, in words; None if `reason` is nothing of TLS's."""
    if isinstance(reason, VerificationError):
        return "the server's certificate is for other names"
    if isinstance(reason, SSL.Error):
        texts = [part[-1] for part in reason.args[0]] if reason.args else []
        return f"TLS: {', '.join(texts) or 'the handshake failed'}"
    return None
