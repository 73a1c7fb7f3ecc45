"""What is said of an address that peers have dialled."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.peers import judge_dialled
from nodetrust.client.diagnosis.steps import Outcome
from nodetrust.libp2p.autonat import Reached
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

PEERS = [PrivateKey.generate().peer_id for _ in range(3)]
YES, MET, NO, UNKNOWN = Reached.YES, Reached.MET, Reached.NO, Reached.UNKNOWN


class PeersTests(SynchronousTestCase):
    def test_what_peers_say(self) -> None:
        """One that has met us is enough, two that have not are too, and one alone may be wrong."""
        address = Multiaddr.parse("/ip4/1.2.3.4/tcp/4443/tls/sni/a.example/ws")
        for said, outcome in (
            ((YES, NO, NO), Outcome.OK),
            ((UNKNOWN, MET), Outcome.OK),
            ((NO, NO, UNKNOWN), Outcome.FAIL),
            ((NO, UNKNOWN), Outcome.WARN),
            ((NO,), Outcome.WARN),
            ((UNKNOWN, UNKNOWN), Outcome.SKIP),
        ):
            step = judge_dialled(address, dict(zip(PEERS, said, strict=False)))
            self.assertEqual((step.title, step.outcome), ("WSS on 1.2.3.4:4443, by address (AutoNAT)", outcome))
            self.assertEqual(bool(step.advice), outcome in (Outcome.FAIL, Outcome.WARN))

    def test_a_plain_address(self) -> None:
        """It is told from WSS."""
        step = judge_dialled(Multiaddr.parse("/ip4/1.2.3.4/tcp/4001"), {PEERS[0]: YES})
        self.assertEqual(step.title, "libp2p on 1.2.3.4:4001 (AutoNAT)")
