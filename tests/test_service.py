"""The life of a role: it starts, fails in one line, and stops."""

import atexit
import io
import os
import resource
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreContext, X509StoreContextError
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.service as service_module
from nodetrust.errors import NodetrustError
from nodetrust.service import RoleService, StartFailed, connection_limits, dial_options, service_maker
from nodetrust.settings import SettingsError
from tests.libp2p.throwaway_ca import ThrowawayCa


class FakeReactor:
    """Counts how often it was stopped."""

    stopped = 0

    def stop(self):
        self.stopped += 1


class Role(RoleService):
    """Its start ends when the test says so."""

    name = "nodetrust-example"

    def __init__(self, reactor, outcome=None):
        super().__init__(reactor)
        self.outcome = Deferred() if outcome is None else outcome
        self.starts = self.stops = 0

    async def start(self):
        self.starts += 1
        await self.outcome

    async def stop(self):
        self.stops += 1


class RoleTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = FakeReactor()
        self.stderr = io.StringIO()
        self.at_exit = []
        self.patch(sys, "__stderr__", self.stderr)
        self.patch(atexit, "register", lambda *call: self.at_exit.append(call))

    def failing(self, error):
        outcome = Deferred()
        outcome.errback(error)
        return Role(self.reactor, outcome)

    def test_twistd_starts_it_once(self):
        """twistd calls both methods."""
        role = Role(self.reactor)
        role.privilegedStartService()
        role.startService()
        self.assertEqual(role.starts, 1)

    def test_twist_starts_it_too(self):
        """Who does not know of privileges calls only one of them."""
        role = Role(self.reactor)
        role.startService()
        self.assertEqual(role.starts, 1)

    def test_a_failure_at_once(self):
        """One line, and an error that twistd cleans up after and Python turns into status 1."""
        role = self.failing(NodetrustError("the port is taken"))
        error = self.assertRaises(StartFailed, role.privilegedStartService)
        self.assertIsInstance(error, Exception)
        self.assertEqual(error.code, 1)
        self.assertEqual(self.stderr.getvalue(), "nodetrust-example: the port is taken\n")
        self.assertEqual(self.reactor.stopped, 0)

    def test_a_failure_later(self):
        """One line; the reactor is stopped, and the process ends with status 1 after that."""
        role = Role(self.reactor)
        role.startService()
        role.outcome.errback(NodetrustError("the store is gone"))
        self.assertEqual(self.stderr.getvalue(), "nodetrust-example: the store is gone\n")
        self.assertEqual((self.reactor.stopped, self.at_exit), (1, [(os._exit, 1)]))

    def test_the_settings_file_is_named(self):
        """Where a setting turns out to be wrong only when it is used; never for what is no setting's fault."""
        for error, expected in (
            (SettingsError("key: expected more"), "nodetrust-example: /etc/x.toml: key: expected more\n"),
            (NodetrustError("the CA is gone"), "nodetrust-example: the CA is gone\n"),
        ):
            self.stderr.truncate(0)
            self.stderr.seek(0)
            role = self.failing(error)
            role.settings_file = "/etc/x.toml"
            self.assertRaises(StartFailed, role.privilegedStartService)
            self.assertEqual(self.stderr.getvalue(), expected)

    def test_a_bug(self):
        """It is logged with its traceback, besides."""
        self.assertRaises(StartFailed, self.failing(ZeroDivisionError("oops")).privilegedStartService)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stopped_while_it_starts(self):
        """The start is cancelled, which is no failure; then what it opened is closed."""
        cancelled = []
        role = Role(self.reactor, Deferred(cancelled.append))
        role.startService()
        self.successResultOf(role.stopService())
        self.assertEqual((len(cancelled), role.stops), (1, 1))
        self.assertEqual((self.stderr.getvalue(), self.reactor.stopped, self.at_exit), ("", 0, []))

    def test_an_error_that_comes_of_the_stop(self):
        """It is not reported."""

        def cut_off(deferred):
            deferred.errback(NodetrustError("the host has been stopped"))

        role = Role(self.reactor, Deferred(cut_off))
        role.startService()
        self.successResultOf(role.stopService())
        self.assertEqual((self.stderr.getvalue(), self.reactor.stopped), ("", 0))

    def test_a_cancelled_start_alone(self):
        """A start that somebody else cancels ends the process as any failure does."""
        role = self.failing(CancelledError())
        self.assertRaises(StartFailed, role.startService)
        self.flushLoggedErrors(CancelledError)

    def test_service_maker(self):
        """The service gets the settings, and knows the file that they come from."""

        class Options(dict):
            settings = "the settings"

        made = service_maker(Role)(Options(config="/etc/x.toml"))
        self.assertEqual((made.outcome, made.settings_file), ("the settings", "/etc/x.toml"))
        self.assertIsNone(service_maker(Role)(Options()).settings_file)

    def test_timers(self):
        """They keep time from the start to the stop of a service that was made for a process."""
        told = []
        clock = SimpleNamespace(start=lambda: told.append("start"), stop=lambda: told.append("stop"))
        self.patch(service_module, "SteadyTime", lambda reactor, *clocks: told.append((reactor, clocks)) or clock)
        made = service_maker(Role)(SimpleNamespace(settings=None, get=lambda key: None))
        self.assertEqual(told, [(default_reactor, (time.time, time.monotonic))])
        made.startService()
        made.stopService()
        self.assertEqual(told[1:], ["start", "stop"])


class ConnectionLimitsTests(SynchronousTestCase):
    """`max_connections` against the file descriptors that the process may have."""

    def allow(self, soft, hard):
        """Have the system say so; what is asked for then is in `asked`."""
        self.asked = []
        self.patch(resource, "getrlimit", lambda _: (soft, hard))
        self.patch(resource, "setrlimit", lambda _, limits: self.asked.append(limits))

    def test_default_fits(self):
        """The default needs no more than the 1024 descriptors that a process usually has."""
        self.allow(1024, 1024)
        limits = connection_limits(512)
        self.assertEqual((limits.inbound_connections, limits.handshakes), (512, 256))
        self.assertEqual(self.asked, [])

    def test_more_are_asked_for(self):
        """Up to the hard limit the process gets them by itself."""
        self.allow(1024, 8000)
        self.assertEqual(connection_limits(5000).inbound_connections, 5000)
        self.assertEqual(self.asked, [(7756, 8000)])

    def test_too_many(self):
        """Past the hard limit the setting is refused with both numbers."""
        self.allow(1024, 4096)
        with self.assertRaisesRegex(SettingsError, "max_connections: 5000 of them need 7756 .* have 4096"):
            connection_limits(5000)

    def test_several_for_each(self):
        """A connection that takes more descriptors than one is as much a connection."""
        self.allow(1024, 8000)
        limits = connection_limits(512, 3)
        self.assertEqual((limits.inbound_connections, limits.handshakes), (512, 256))
        self.assertEqual(self.asked, [(2560, 8000)])

    def test_unlimited(self):
        """Where there is no limit nothing is asked for."""
        self.allow(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertEqual(connection_limits(5000).handshakes, 2500)
        self.assertEqual(self.asked, [])


class TrustFileTests(SynchronousTestCase):
    def test_beside_the_platform(self):
        """Both the file's roots and the platform's are trusted, and nobody else."""
        platform, further, stranger = map(ThrowawayCa, ("platform", "further", "stranger"))
        files = [Path(self.mktemp()) for _ in range(2)]
        for file, ca in zip(files, (platform, further), strict=True):
            file.write_bytes(ca.certificate.public_bytes(Encoding.PEM))
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        with mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(files[0])}):  # where OpenSSL finds the platform's
            dial_options(None, None, files[1])["trust_root"]._addCACertsToContext(context)
        trusted = [self.verifies(context, ca) for ca in (platform, further, stranger)]
        self.assertEqual(trusted, [True, True, False])

    def verifies(self, context, ca):
        leaf = load_pem_x509_certificate(ca.issue(["a.example"])[1])
        try:
            X509StoreContext(context.get_cert_store(), X509.from_cryptography(leaf)).verify_certificate()
        except X509StoreContextError:
            return False
        return True
