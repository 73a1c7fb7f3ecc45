"""Peers' faults stay out of an operator's log."""

from io import StringIO

from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

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
