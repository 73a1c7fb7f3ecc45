"""Spam in a topic of announcements: what it costs whoever sends it, and that the others' announcements still arrive."""

from dataclasses import replace
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.pubsub.effects import Deliver, SendRpc
from nodetrust.libp2p.pubsub.errors import MessageInvalid
from nodetrust.libp2p.pubsub.ids import message_ids
from nodetrust.libp2p.pubsub.machine import Router, Verdict
from nodetrust.libp2p.pubsub.parameters import BYTES_PER_CHECK, GOSSIPSUB_1_2
from nodetrust.libp2p.pubsub.wire import IHave, Message, Prune, Rpc, Subscription
from tests.libp2p.pubsub.simulation import DEFAULTS, PEERS, Network, unsigned

US, SPAMMER, VICTIM = PEERS[:3]
HONEST = PEERS[3:9]
FORGED, REPLAYED = b"forged", b"replayed"


class SpamTests(SynchronousTestCase):
    """A router with its defaults, and a mesh of one spammer and six honest peers."""

    def setUp(self) -> None:
        self.checked = 0
        self.router = Router(US, DEFAULTS, Random(0), self._check, self._validate)
        for peer in (SPAMMER, *HONEST):
            self.router.peer_connected(peer, GOSSIPSUB_1_2, outbound=True)
            self.receive(peer, subscriptions=(Subscription("t", True),))
        self.router.subscribe("t", 0)
        for peer in (SPAMMER, *HONEST):
            self.receive(peer, graft=("t",))

    def _check(self, message: Message) -> None:
        self.checked += 1
        if message.signature == FORGED:
            raise MessageInvalid(FORGED.decode())

    def _validate(self, message: Message, *_: object) -> Verdict:
        return Verdict.IGNORE if message.data == REPLAYED else Verdict.ACCEPT

    def receive(self, peer, now: float = 0.0, **parts):
        return self.router.received(peer, Rpc(**parts), now)

    def delivered(self, peer, *messages: Message, now: float = 0.0) -> int:
        """How many of the messages that come from the peer reach the application."""
        return sum(isinstance(effect, Deliver) for effect in self.receive(peer, now, messages=messages))

    def sent_to(self, peer, effects):
        return [effect.rpc for effect in effects if isinstance(effect, SendRpc) and effect.peer == peer]

    def assertOthersAreHeard(self, now: float, seqno: int) -> None:
        """An announcement of each honest peer still arrives, and nobody but the spammer is blamed."""
        for peer in HONEST:
            self.assertEqual(self.delivered(peer, unsigned(peer, seqno), now=now), 1)
            self.assertEqual(self.router.score(peer), 0)

    def test_invalid_signatures(self) -> None:
        """Three are looked at, whatever follows; the next heartbeat ends the mesh link."""
        for first in range(0, 1000, 100):
            self.receive(SPAMMER, messages=[replace(unsigned(VICTIM, first + n), signature=FORGED) for n in range(100)])
        self.assertFalse(self.router.listens_to(SPAMMER))
        self.assertLessEqual(self.checked, DEFAULTS.checks_per_peer)
        self.assertOthersAreHeard(0, 1)
        self.router.heartbeat(1)
        self.assertNotIn(SPAMMER, self.router.mesh("t"))

    def test_valid_messages_of_one_author(self) -> None:
        """However many peers pass them on, only one author's share is checked and carried, at no one's expense."""
        flood = [unsigned(VICTIM, n) for n in range(1000)]
        taken = sum(self.delivered(peer, *flood[n::7]) for n, peer in enumerate((SPAMMER, *HONEST)))
        self.assertEqual([taken, self.checked], [DEFAULTS.author_burst] * 2)
        self.assertOthersAreHeard(0, 1)
        self.router.heartbeat(1)
        taken = self.delivered(SPAMMER, *(unsigned(VICTIM, 1000 + n) for n in range(100)), now=1)
        self.assertEqual(taken, DEFAULTS.author_messages_per_second)

    def test_what_was_too_much_may_come_again(self) -> None:
        """A message that came too early is not remembered as seen, and who offered it has kept its word."""
        flood = [unsigned(VICTIM, n) for n in range(60)]
        self.delivered(SPAMMER, *flood)
        late = flood[-1]
        offer = (IHave("t", (message_ids(VICTIM, late.seqno, None).go,)),)
        self.assertEqual(len(self.sent_to(HONEST[0], self.receive(HONEST[0], ihave=offer))), 1)
        self.assertEqual(self.delivered(HONEST[0], late), 0)
        for now in range(1, 5):
            self.router.heartbeat(now)
        self.assertEqual(self.delivered(HONEST[0], late, now=5), 1)
        self.assertEqual(self.router._promises.broken(5), [])

    def test_a_crowd(self) -> None:
        """Fifty who dial us and spend all that is checked keep out neither those whom we dialed nor who dialed us."""
        caller, *crowd = PEERS[9:60]
        for peer in (caller, *crowd):
            self.router.peer_connected(peer, GOSSIPSUB_1_2, outbound=False)
            self.receive(peer, subscriptions=(Subscription("t", True),))
        for now in range(1, 4):
            self.router.heartbeat(now)
            self.checked = 0
            for peer in crowd:
                flood = (unsigned(peer, 1000 * now + n, data=REPLAYED) for n in range(DEFAULTS.checks_per_peer))
                self.receive(peer, now=now, messages=tuple(flood))
            self.assertOthersAreHeard(now, now)
            self.assertEqual(self.delivered(caller, unsigned(caller, now), now=now), 1)
            self.assertLessEqual(self.checked, DEFAULTS.common_checks + 2 * DEFAULTS.reserved_checks)

    def test_large_messages(self) -> None:
        """They count as several, for they cost as much to pass on; the largest get through all the same."""
        flood = [unsigned(PEERS[10 + n % 50], n, data=bytes(3 * BYTES_PER_CHECK)) for n in range(100)]
        self.assertEqual(self.delivered(SPAMMER, *flood), DEFAULTS.checks_per_peer // 4)
        self.assertEqual(self.delivered(HONEST[0], unsigned(VICTIM, 1, data=bytes(1000 * BYTES_PER_CHECK))), 1)

    def test_crowds_that_come_and_go(self) -> None:
        """Nobody has checks of his own before the next heartbeat, so that coming again brings none."""
        self.router.heartbeat(1)
        self.checked = 0
        for n in range(1000):
            newcomer = PEERS[10 + n % 50]
            self.router.peer_disconnected(newcomer)
            self.router.peer_connected(newcomer, GOSSIPSUB_1_2, outbound=False)
            flood = tuple(unsigned(VICTIM, 1000 + 10 * n + m, data=REPLAYED) for m in range(10))
            self.receive(newcomer, now=1, messages=flood)
        self.assertEqual(self.checked, DEFAULTS.common_checks)
        self.assertOthersAreHeard(1, 1)

    def test_nobody_uses_up_another_authors_rate(self) -> None:
        """Neither forged messages nor replayed ones that the application ignores count for the author they name."""
        self.receive(SPAMMER, messages=[unsigned(VICTIM, n, data=REPLAYED) for n in range(150)])
        self.receive(SPAMMER, messages=[replace(unsigned(VICTIM, 200 + n), signature=FORGED) for n in range(50)])
        self.assertEqual(self.delivered(HONEST[0], *(unsigned(VICTIM, 500 + n) for n in range(50))), 50)

    def test_offers_of_what_never_comes(self) -> None:
        """IHAVEs are followed so far a heartbeat; who does not send what it offers is graylisted in seconds."""
        asked = []
        for now in range(40):
            if not self.router.listens_to(SPAMMER):
                break
            ids = tuple(message_ids(VICTIM, (10_000 * now + n).to_bytes(8, "big"), None).go for n in range(900))
            answers = [
                rpc
                for n in range(20)
                for rpc in self.sent_to(SPAMMER, self.receive(SPAMMER, now, ihave=(IHave("t", ids[n * 45 :]),)))
            ]
            asked.append(sum(len(rpc.iwant) for rpc in answers))
            self.router.heartbeat(now + 0.5)
        self.assertLess(len(asked), 10)
        self.assertLessEqual(max(asked), DEFAULTS.max_ihave_ids)
        self.assertOthersAreHeard(40, 1)

    def test_asking_again_and_again(self) -> None:
        """IWANTs get each message three times, and messages that are not there not at all."""
        message = unsigned(HONEST[0], 1)
        self.delivered(HONEST[0], message)
        unknown = tuple(message_ids(VICTIM, n.to_bytes(8, "big"), None).go for n in range(1000))
        wanted = (*message_ids(HONEST[0], message.seqno, None), *unknown)
        answers = [self.sent_to(SPAMMER, self.receive(SPAMMER, iwant=wanted)) for _ in range(20)]
        self.assertEqual(sum(map(len, answers)), DEFAULTS.gossip_retransmissions)

    def test_grafts_in_a_backoff(self) -> None:
        """Who grafts on and on after a PRUNE is graylisted before the next heartbeat, and then gets no answer."""
        self.receive(SPAMMER, prune=(Prune("t", 60),))
        answers = [self.sent_to(SPAMMER, self.receive(SPAMMER, graft=("t",))) for _ in range(100)]
        self.assertFalse(self.router.listens_to(SPAMMER))
        self.assertLess(sum(map(len, answers)), 10)
        self.assertNotIn(SPAMMER, self.router.mesh("t"))
        self.assertOthersAreHeard(0, 1)

    def test_grafts_of_other_topics(self) -> None:
        """They get no answer and leave nothing behind."""
        self.assertEqual(self.receive(SPAMMER, graft=tuple(f"topic {n}" for n in range(5000))), [])
        self.assertEqual(len(self.router._backoffs), 0)
        self.assertEqual(self.router.mesh("topic 1"), frozenset())

    def test_a_flooder_in_a_network(self) -> None:
        """One of twenty floods for five seconds: its rate is carried, and every announcement of the others arrives."""
        network = Network(20)
        network.link_some(2)
        network.subscribe_all()
        network.run(2)
        flooder, *others = network.peers
        for second in range(5):
            for n in range(300):
                network.publish(flooder, 1000 * second + n, b"flood")
            for number, author in enumerate(others):
                network.publish(author, second, b"%d from %d" % (second, number))
            network.run(1)
        network.run(2)
        for second in range(5):
            for number, author in enumerate(others):
                heard = {peer for peer in others if network.heard[peer][b"%d from %d" % (second, number)] == 1}
                self.assertEqual(heard, set(others) - {author})
        most = DEFAULTS.author_burst + 7 * DEFAULTS.author_messages_per_second
        for peer in others:
            self.assertTrue(DEFAULTS.author_burst <= network.heard[peer][b"flood"] <= most)
