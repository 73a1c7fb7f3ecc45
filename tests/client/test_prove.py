"""Which proofs are sent on."""

from ipaddress import ip_address

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.errors import NoProofs
from nodetrust.client.prove import Found, agreed, in_time
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import ProofWrapper
from nodetrust.names import IPAddress
from nodetrust.proofs import OutOfTime, Proven

ONE, TWO = (PrivateKey.generate().peer_id for _ in range(2))
V4, V6 = ip_address("8.8.8.8"), ip_address("2606:4700::1111")


def found(server: object, *addresses: IPAddress, ahead_ms: int = 0) -> Found:
    out_of_time = OutOfTime(server, ahead_ms, None) if ahead_ms else None
    return Found(server, ProofWrapper(), Proven(addresses, 0, server, None), out_of_time)


class AgreedTests(SynchronousTestCase):
    """`agreed`."""

    def test_servers_are_counted(self) -> None:
        """Two proofs of one server are one voice; what too few vouch for is left out."""
        proofs = [found(ONE, V4), found(ONE, V4), found(ONE, V6), found(TWO, V6)]
        self.assertEqual(set(agreed(proofs, 0)), {V4, V6})
        self.assertEqual(set(agreed(proofs, 1)), {V4, V6})
        self.assertEqual(agreed(proofs, 2), (V6,))

    def test_nothing_is_left(self) -> None:
        """The error says how many of how many."""
        error = self.assertRaises(NoProofs, agreed, [found(ONE, V4)], 2)
        self.assertIn("1 of 2 for 8.8.8.8", str(error))


class TimeTests(SynchronousTestCase):
    """`in_time`."""

    def test_a_server_with_a_wrong_clock(self) -> None:
        """Its proof would spoil the request and is left out; the log names the server and the difference."""
        right, wrong = found(ONE, V4), found(TWO, V4, ahead_ms=-400_000)
        with capturedLogs() as events:
            self.assertEqual(in_time([right, wrong]), [right])
        (event,) = events
        self.assertIn("400 seconds behind", event["reason"])

    def test_the_clock_here_is_wrong(self) -> None:
        """A peer whose own clock is wrong gets its certificate all the same."""
        both = [found(ONE, V4, ahead_ms=400_000), found(TWO, V4, ahead_ms=400_100)]
        self.assertEqual(in_time(both), both)
