"""The life of a role: it starts, is ready or fails, and stops cleanly.

Under `twistd` a role that cannot start ends the process: one line on stderr that says why, and exit status 1. Whoever
runs a role inside another program (`nodetrust demo`, a test) awaits `start` and `stop` and gets the error itself.
"""

from __future__ import annotations

import atexit
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates
from twisted.logger import Logger
from twisted.names.client import Resolver
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust import __version__
from nodetrust.errors import NodetrustError
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.settings import HostPort, PeerSettings, RoleOptions, SettingsError
from nodetrust.steady import SteadyTime

KEY_FILE = "peer.key"
"""The name of the peer's private key in a role's state folder."""

_MIN_HANDSHAKES = 64
_OWN_DESCRIPTORS = 256
"""For listeners, the database, the CA, and the connections that we open ourselves."""

AGENT_VERSION = f"nodetrust/{__version__}"


class StartFailed(SystemExit, Exception):
    """Ends the process with one line on stderr and status 1.

    An `Exception` too, so that twistd removes its pid file and a daemon's parent learns of it.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.code = 1  # a text here would be printed once more


class RoleService(Service):
    """A service whose start and stop are coroutines.

    A subclass sets `name` to the twistd command's name and defines `start` and `stop`. Ports are bound before the first
    real wait in `start`, so that they are taken while the process still has the right to low ones.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.settings_file: str | None = None
        """Where the settings come from, for the line that says which of them is wrong."""
        self.clock: SteadyTime | None = None
        """What makes the reactor's timers steady, in a process of the role's own."""
        self._starting: Deferred[None] | None = None

    async def start(self) -> None:
        """Bind ports and begin to serve; returns when the role can be used."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close everything that `start` opened, also after it failed half-way; returns when it is closed."""
        raise NotImplementedError

    def privilegedStartService(self) -> None:
        """Start; a failure that shows at once (a port that is taken) raises `StartFailed`."""
        Service.privilegedStartService(self)
        self._begin()

    def startService(self) -> None:
        """The same, where nobody has called `privilegedStartService` (`twist` does not)."""
        Service.startService(self)
        if self._starting is None:
            self._begin()

    def stopService(self) -> Deferred[None]:
        """Stop; the Deferred fires when everything is closed."""
        Service.stopService(self)
        if self._starting is not None:
            self._starting.cancel()
        if self.clock is not None:
            self.clock.stop()
        return Deferred.fromCoroutine(self.stop())

    def _begin(self) -> None:
        if self.clock is not None:
            self.clock.start()
        self._starting = Deferred.fromCoroutine(self.start())
        at_once: list[Failure] = []
        self._starting.addErrback(at_once.append)
        if at_once:
            raise StartFailed(self._say(at_once[0]))
        self._starting.addCallback(lambda _: self._end_process(at_once[0]) if at_once else None)

    def _end_process(self, failure: Failure) -> None:
        if not self.running:  # it was stopped while it started
            return
        self._say(failure)
        # twistd has no way to end with a status; this runs when it has put its own things away.
        atexit.register(os._exit, 1)
        self.reactor.stop()

    def _say(self, failure: Failure) -> str:
        """Tell the operator in one line, past twistd, which sends what is written to `sys.stderr` to its log."""
        if failure.check(NodetrustError, Libp2pError) is None:
            self.log.failure("{name} could not start: a bug", failure=failure, name=self.name)
        place = f"{self.settings_file}: " if self.settings_file and failure.check(SettingsError) else ""
        line = f"{self.name}: {place}{failure.getErrorMessage()}"
        self.log.error("{line}", line=line)
        if sys.__stderr__ is not None:
            print(line, file=sys.__stderr__, flush=True)  # the one line that the operator sees
        return line


def service_maker(role: Callable[[Any, Any], RoleService]) -> Callable[[RoleOptions], RoleService]:
    """The `makeService` of a role: `role` is called with the reactor, whose timers are steady, and the settings."""

    def make_service(options: RoleOptions) -> RoleService:
        from twisted.internet import reactor  # noqa: PLC0415  # importing it installs it: only twistd may do that

        service = role(reactor, options.settings)
        service.clock = SteadyTime(reactor, time.time, time.monotonic)
        service.settings_file = options.get("config")
        return service

    return make_service


def open_host(reactor: Any, settings: PeerSettings, **options: Any) -> Host:
    """A libp2p host with the key of the role's state folder, which is made on the first start.

    Raises `SettingsError`, also where the process may not have as many file descriptors as connections.
    """
    limits = connection_limits(settings.max_connections)
    host = Host(reactor, load_identity(settings.state), agent_version=AGENT_VERSION, limits=limits, **options)
    host.announce(settings.announce)
    return host


def connection_limits(connections: int, descriptors: int = 1) -> Limits:
    """The libp2p limits for so many connections of others, for which the process gets the file descriptors.

    Of these, there are `descriptors` for each connection. Raises `SettingsError` where the system does not allow them.
    """
    limits = Limits(inbound_connections=connections, handshakes=max(_MIN_HANDSHAKES, connections // 2))
    needed = descriptors * (limits.inbound_connections + limits.handshakes) + _OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return limits
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SettingsError(
            f"max_connections: {connections} of them need {needed} file descriptors, and this process may have {hard}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return limits


def load_identity(state: Path) -> PrivateKey:
    """The peer's key in a state folder; both are made where there is none. Raises `SettingsError`, `KeyFileError`."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"state: expected a folder that can be written to, got {state}: {error.strerror}"
        ) from error
    return load_or_create(state / KEY_FILE)


def dial_options(reactor: Any, nameserver: HostPort | None, trust_file: Path | None) -> dict[str, Any]:
    """The options of `Host` for those who dial names and WSS: another DNS server, and further roots to trust.

    Raises `SettingsError` if the file cannot be read, or the DNS server is named by a name.
    """
    options: dict[str, Any] = {}
    if nameserver is not None:
        if not isIPAddress(nameserver.host) and not isIPv6Address(nameserver.host):
            raise SettingsError(f"nameserver: expected an IP address and a port, got {nameserver}")
        options["resolver"] = Resolver(servers=[(nameserver.host, nameserver.port)], reactor=reactor)
    if trust_file is not None:
        options["trust_root"] = read_roots("trust_file", trust_file)
    return options


def read_roots(key: str, path: Path) -> Any:
    """The roots in the file of the setting `key`, beside the platform's own. Raises `SettingsError`."""
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{key}: {path}: cannot be read: {error.strerror}") from error
    except ValueError:
        raise SettingsError(f"{key}: {path}: expected PEM certificates") from None
    return _BesideThePlatform(
        trustRootFromCertificates([Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in certificates])
    )


@implementer(IOpenSSLTrustRoot)
class _BesideThePlatform:
    """Further roots, which Twisted would take in place of the platform's."""

    def __init__(self, further: Any) -> None:
        self._roots = (platformTrust(), further)

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        for roots in self._roots:
            roots._addCACertsToContext(context)


async def listen(host: Host, address: Multiaddr, key: str, tls: CertificateStore | None = None) -> Multiaddr:
    """Listen on an address of the setting `key`; returns it with the real port. Raises `SettingsError`."""
    try:
        return await host.listen(address, tls)
    except Libp2pError as error:
        raise SettingsError(f"{key}: expected an address that can be listened on, got {address}: {error}") from error


async def listen_all(host: Host, settings: PeerSettings, log: Logger, name: str) -> list[Multiaddr]:
    """Listen on every configured address, and say and return where, with the real ports.

    Raises `SettingsError` for the first that cannot be had.
    """
    listening = []
    for address in settings.listen:
        actual = await listen(host, address, "listen")
        listening.append(actual)
        log.info("{name} listens on {address}", name=name, address=str(actual.with_peer_id(host.peer_id)))
    return listening
