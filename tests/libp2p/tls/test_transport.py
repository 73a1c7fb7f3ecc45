"""TLS 1.3 as a security layer."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.tls import TlsSecurity
from tests.libp2p.security_compliance import SecurityCompliance


class TlsComplianceTests(SecurityCompliance, SynchronousTestCase):
    def make_security(self, key, muxers):
        return TlsSecurity(key, muxers, self.clock)
