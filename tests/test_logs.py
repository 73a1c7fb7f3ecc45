"""Peers' faults stay out of an operator's log."""

from io import StringIO

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python import log as old_log
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nodetrust.logs import from_level


class LevelTests(SynchronousTestCase):
    def test_writes_from_its_level_on(self):
        """Debug is left out, info and errors are written."""
        file = StringIO()
        log = Logger(namespace="test", observer=from_level(LogLevel.info, file))
        log.debug("a peer did wrong")
        log.info("a certificate")
        log.error("no disk")
        written = file.getvalue()
        self.assertNotIn("did wrong", written)
        self.assertIn("a certificate", written)
        self.assertIn("no disk", written)


class PortTests(TestCase):
    async def test_ports_that_come_and_go(self):
        """Twisted's word of each is left out, and what else is said in its old way is not."""
        file = StringIO()
        observer = from_level(LogLevel.info, file)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        asking, listening = DatagramProtocol(), Factory()
        asking.noisy = listening.noisy = False
        ports = [
            reactor.listenUDP(0, asking, "127.0.0.1"),
            reactor.listenTCP(0, listening, interface="127.0.0.1"),
            reactor.listenUNIX(self.mktemp()[-50:].replace("/", "-"), listening),
        ]
        for port in ports:
            await port.stopListening()
        self.assertEqual(file.getvalue(), "")
        old_log.msg("the work is starting on 5 machines")
        self.assertIn("5 machines", file.getvalue())


class FactoryTests(SynchronousTestCase):
    def test_factories_that_come_and_go(self):
        """Twisted's word of each connection's is left out."""
        file = StringIO()
        observer = from_level(LogLevel.info, file)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        factory = Factory()
        factory.doStart()
        factory.doStop()
        self.assertEqual(file.getvalue(), "")
        Logger(namespace="test").info("Starting factory {name}", name="of ours")
        self.assertIn("of ours", file.getvalue())
