"""Tests for nodetrust.client.forward.target."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.forward.errors import InvalidTarget
from nodetrust.client.forward.target import Target


class TargetTests(SynchronousTestCase):
    """What a user may write."""

    def test_kinds(self) -> None:
        """TCP to a name or an address of either family, and a UNIX socket; the text comes back in one spelling."""
        for text, kind, place, port, written in (
            ("tcp:127.0.0.1:4001", "tcp", "127.0.0.1", 4001, "tcp:127.0.0.1:4001"),
            ("tcp:node.example.org:1", "tcp", "node.example.org", 1, "tcp:node.example.org:1"),
            ("tcp6:[::1]:4001", "tcp6", "::1", 4001, "tcp6:[::1]:4001"),
            ("tcp6:\\:\\:1:4001", "tcp6", "::1", 4001, "tcp6:[::1]:4001"),
            ("tcp6:[fe80::1%eth0]:4001", "tcp6", "fe80::1%eth0", 4001, "tcp6:[fe80::1%eth0]:4001"),
            ("tcp6:localhost:65535", "tcp6", "localhost", 65535, "tcp6:localhost:65535"),
            ("unix:/run/node/libp2p.sock", "unix", "/run/node/libp2p.sock", 0, "unix:/run/node/libp2p.sock"),
        ):
            target = Target.parse(text)
            self.assertEqual((kind, place, port), (target.kind, target.place, target.port))
            self.assertEqual(written, str(target))
            self.assertEqual(target, Target.parse(written))

    def test_refused(self) -> None:
        """Everything else is refused in one line that says what was expected: above all what would start a program."""
        for text in (
            "",
            "127.0.0.1:4001",
            "tcp:4001",
            "tcp:127.0.0.1",
            "tcp::4001",
            "tcp:127.0.0.1:0",
            "tcp:127.0.0.1:65536",
            "tcp:127.0.0.1:4001:timeout=9",
            "tcp:[::1]:4001",
            "TCP:127.0.0.1:4001",
            "tcp:127.0.0.1:4001\n",
            "tls:127.0.0.1:4001",
            "exec:/bin/sh",
            "process:/bin/sh",
            "systemd:domain=INET:index=0",
            "unix:relative.sock",
            "unix:",
            "/ip4/127.0.0.1/tcp/4001",
        ):
            error = self.assertRaises(InvalidTarget, Target.parse, text)
            self.assertIn("expected tcp:HOST:PORT", str(error))
            self.assertNotIn("\n", str(error))
