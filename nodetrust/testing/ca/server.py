"""`DevelopmentCA`: the parts put together behind HTTPS on loopback."""

# mypy: allow-untyped-calls
# (twisted.web and twisted.protocols.policies have no types of their own.)

import random as random_module
import secrets
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from OpenSSL import crypto
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolNegotiationFactory
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web import http
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from nodetrust.testing.ca.ca import CertificateAuthority, Issuer, load_or_make_root
from nodetrust.testing.ca.db import Database
from nodetrust.testing.ca.errors import CAError
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import CAContext
from nodetrust.testing.ca.settings import CASettings
from nodetrust.testing.ca.va import ValidationAuthority, expected_value
from nodetrust.testing.ca.wfe import DIRECTORY_PATH, FrontEnd

_HOST = "127.0.0.1"
_ID_BYTES = 16

_log = Logger()


class DevelopmentCA:
    """An ACME CA for development and tests. Its certificates are worth nothing, but how they are come by is real.

    `folder` keeps the root (`root_pem_path`, to be trusted for the CA's HTTPS and for what it issues); everything else
    is forgotten at the end. `dns` is the server that dns-01 is validated with. `port` 0: any free one.
    """

    def __init__(
        self,
        reactor: Any,  # IReactorTime, IReactorSSL, IReactorUDP and IReactorTCP, which no type can say at once
        folder: Path,
        dns: tuple[str, int],
        *,
        port: int = 0,
        settings: CASettings | None = None,
        random: Random | None = None,
    ) -> None:
        self._reactor = reactor
        self._folder = folder
        self._port = port
        self._settings = CASettings() if settings is None else settings
        self._random = random_module.SystemRandom() if random is None else random
        self._database = Database(lambda: secrets.token_urlsafe(_ID_BYTES))
        self._validation = ValidationAuthority(reactor, dns)
        self._validating: set[Deferred[None]] = set()
        self._listening: IListeningPort | None = None
        self._connections: _Connections | None = None

    @property
    def root_pem_path(self) -> Path:
        """The file with the root; it is there once `start` has returned."""
        return self._folder / "root.pem"

    async def start(self) -> str:
        """Listen on loopback; returns the URL of the directory. Raises `CAError`."""
        try:
            root, _ = load_or_make_root(self._folder, self._now())
        except (OSError, ValueError) as error:
            raise CAError(f"the development CA cannot use the folder {self._folder}: {error}") from error
        authority = self.make_authority(root)
        resource = _FrontEndResource()
        self._connections = _Connections(_QuietSite(resource))
        try:
            tls = _tls(authority.web_certificate(self._now()))
            listening = self._reactor.listenSSL(self._port, self._connections, tls, interface=_HOST)
        except CannotListenError as error:
            raise CAError(f"the development CA cannot listen on {_HOST}:{self._port}: {error.socketError}") from error
        self._listening = listening
        base_url = f"https://{_HOST}:{listening.getHost().port}"
        context = CAContext(
            base_url, self._database, authority, self._settings, self._reactor.seconds, self._random, self._validate
        )
        resource.front_end = FrontEnd(context)
        return base_url + DIRECTORY_PATH

    async def stop(self) -> None:
        """Stop listening and drop all connections; returns when they are gone."""
        for running in list(self._validating):
            running.cancel()
        if self._listening is not None:
            await maybeDeferred(self._listening.stopListening)
            self._listening = None
        if self._connections is not None:
            await self._connections.drop_all()

    def make_authority(self, root: Issuer) -> CertificateAuthority:
        """The part that signs; a subclass can put one here that misbehaves."""
        return CertificateAuthority(root, self._now())

    def _validate(self, authorization_id: str) -> None:
        running = Deferred.fromCoroutine(self._validated(authorization_id))
        self._validating.add(running)
        running.addErrback(lambda failure: failure.trap(CancelledError) and None)
        running.addErrback(lambda failure: _log.failure("Validating an authorization failed", failure))
        running.addBoth(lambda _: self._validating.discard(running))

    async def _validated(self, authorization_id: str) -> None:
        found = self._database.authorizations.get(authorization_id)
        account = None if found is None else self._database.accounts.get(found.account_id)
        if found is None or account is None:
            return
        problem: Problem | None = await self._validation.check(found.name, expected_value(found.token, account.key))
        if problem is None:
            found.validated = self._reactor.seconds()
        else:
            found.failed(problem, tries_again=self._settings.tries_again)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)


class _FrontEndResource(Resource):
    """twisted.web around `FrontEnd`: every path and method arrives here."""

    isLeaf = True
    front_end: FrontEnd

    def render(self, request: IRequest) -> bytes:
        media_type = (request.getHeader("Content-Type") or "").partition(";")[0].strip().lower()
        reply = self.front_end.answer(
            request.method.decode("latin-1"),
            request.path.decode("latin-1"),
            media_type,
            request.content.read(),
        )
        request.setResponseCode(reply.status)
        request.responseHeaders.removeHeader("Content-Type")
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        return b"" if request.method == b"HEAD" else reply.body


class _QuietSite(Site):
    """No access log: twisted.web writes it to the program's own log."""

    noisy = False
    displayTracebacks = False

    def log(self, request: http.Request) -> None:
        pass


@implementer(IProtocolNegotiationFactory)
class _Connections(WrappingFactory[ProtocolWrapper]):
    """Knows the connections of a site, so that they can be ended."""

    noisy = False

    def __init__(self, factory: Site) -> None:
        super().__init__(factory)
        self._gone: Deferred[None] | None = None

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS clients may choose: without an answer here Twisted fails the handshake of all who offer a choice."""
        return [b"http/1.1"]

    async def drop_all(self) -> None:
        """Abort every connection; returns when the last is lost."""
        self._gone = Deferred()
        for protocol in list(self.protocols):
            protocol.transport.abortConnection()
        if self.protocols:
            await self._gone

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        super().unregisterProtocol(p)
        if self._gone is not None and not self.protocols and not self._gone.called:
            self._gone.callback(None)


def _tls(web: Issuer) -> CertificateOptions:
    return CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(web.key),
        certificate=crypto.X509.from_cryptography(web.certificate),
    )
