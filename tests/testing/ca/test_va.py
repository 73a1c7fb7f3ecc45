"""The development CA's look at the DNS."""

import socket
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.trial.unittest import TestCase

import nodetrust.testing.ca.va as va_module
from nodetrust.testing.ca.va import ValidationAuthority

reactor: Any = default_reactor


class ValidationTests(TestCase):
    timeout = 120

    async def test_a_dns_server_that_is_silent(self) -> None:
        """The validation fails, as every CA's does, and does not hang."""
        self.patch(va_module, "_TIMEOUTS", (0.05, 0.05))
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        problem = await ValidationAuthority(reactor, silent.getsockname()).check("a.example", "value")
        assert problem is not None
        self.assertEqual(problem.kind, "dns")
        self.assertIn("_acme-challenge.a.example", problem.detail)
