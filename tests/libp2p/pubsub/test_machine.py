"""The router against single peers: what it says to whom, what it takes from whom, what it never does."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import LimitExceeded
from nodetrust.libp2p.pubsub import machine
from nodetrust.libp2p.pubsub.effects import Deliver, SendRpc
from nodetrust.libp2p.pubsub.errors import MessageInvalid
from nodetrust.libp2p.pubsub.ids import IdStyle, message_ids
from nodetrust.libp2p.pubsub.machine import Router, Verdict
from nodetrust.libp2p.pubsub.parameters import (
    FLOODSUB,
    GOSSIPSUB_1_0,
    GOSSIPSUB_1_1,
    GOSSIPSUB_1_2,
    MAX_BACKOFF_SECONDS,
    MAX_TOPICS_PER_PEER,
    Parameters,
)
from nodetrust.libp2p.pubsub.wire import IHave, Message, Prune, Rpc, Subscription
from tests.libp2p.pubsub.simulation import DEFAULTS, PEERS, trusting_router, unsigned
from tests.libp2p.pubsub.test_wire import rpcs

US, A, B, C, AUTHOR = PEERS[:5]
INTERESTED = Rpc((Subscription("t", True),))
HUGE_BACKOFF = 2**64 - 1


def ids_of(message: Message, author=AUTHOR):
    return message_ids(author, message.seqno, None)


class RouterCase(SynchronousTestCase):
    """A router that subscribes to `t` and is connected to A, B and C, all in its mesh."""

    def setUp(self) -> None:
        self.router = trusting_router(US)
        for peer in (A, B, C):
            self.meet(peer)
        self.joined = self.router.subscribe("t", 0)

    def meet(self, peer, protocol: str = GOSSIPSUB_1_1, outbound: bool = False):
        greeting = self.router.peer_connected(peer, protocol, outbound)
        self.router.received(peer, INTERESTED, 0)
        return greeting

    def receive(self, peer, now: float = 0.0, **parts):
        return self.router.received(peer, Rpc(**parts), now)

    def sent(self, effects):
        """The RPCs in effects, by peer."""
        return {effect.peer: effect.rpc for effect in effects if isinstance(effect, SendRpc)}


class SubscriptionTests(RouterCase):
    def test_joining(self) -> None:
        """Everyone is told, and those who are interested are grafted, in one RPC."""
        expected = Rpc((Subscription("t", True),), graft=("t",))
        self.assertEqual(self.sent(self.joined), dict.fromkeys((A, B, C), expected))
        self.assertEqual(self.router.mesh("t"), {A, B, C})
        self.assertEqual(self.router.subscribe("t", 1), [])

    def test_leaving(self) -> None:
        """The mesh is pruned for ten seconds and everyone told; grafts and messages of the topic mean nothing then."""
        left = Rpc((Subscription("t", False),), prune=(Prune("t", 10),))
        self.assertEqual(self.sent(self.router.unsubscribe("t", 1)), dict.fromkeys((A, B, C), left))
        self.assertEqual(self.receive(A, graft=("t",), messages=(unsigned(AUTHOR, 1),)), [])
        self.assertEqual(self.router.unsubscribe("t", 1), [])

    def test_joining_again_respects_our_own_backoff(self) -> None:
        """After leaving, nobody is grafted before ten seconds and the slack have passed."""
        self.router.unsubscribe("t", 0)
        self.router.subscribe("t", 1)
        for now in range(2, 11):
            self.router.heartbeat(now)
            self.assertEqual(self.router.mesh("t"), frozenset())
        self.router.heartbeat(11)
        self.assertEqual(self.router.mesh("t"), {A, B, C})

    def test_greeting(self) -> None:
        """A new peer is told our topics at once, and grafted by the next heartbeat; old ones hear nothing."""
        self.assertEqual(self.sent(self.meet(PEERS[9])), {PEERS[9]: INTERESTED})
        self.assertEqual(self.sent(self.router.heartbeat(1)), {PEERS[9]: Rpc(graft=("t",))})

    def test_known_peers_and_ourselves(self) -> None:
        """A peer that is known already is not greeted again, and we are no peer of ours."""
        self.assertEqual(self.meet(A) + self.meet(US), [])

    def test_restarted_stream(self) -> None:
        """On a new stream the peer is told again what it must know."""
        expected = Rpc((Subscription("t", True),), graft=("t",))
        self.assertEqual(self.router.peer_restarted(A), [SendRpc(A, expected)])
        self.assertEqual(self.router.peer_restarted(PEERS[9]), [])

    def test_a_peer_that_leaves(self) -> None:
        """Who unsubscribes or disconnects is out of the mesh and gets nothing."""
        self.receive(A, subscriptions=(Subscription("t", False), Subscription("never", False)))
        self.router.peer_disconnected(B)
        self.router.peer_disconnected(B)
        self.assertEqual((self.router.mesh("t"), self.router.topic_peers("t")), ({C}, {C}))
        self.assertEqual(list(self.sent(self.router.publish(unsigned(US, 1), 1))), [C])

    def test_topics_of_a_peer_are_bounded(self) -> None:
        """Beyond the limit a peer's topics are forgotten, except for those that are ours."""
        topics = tuple(Subscription(f"topic {n}", True) for n in range(MAX_TOPICS_PER_PEER + 1))
        self.receive(A, subscriptions=(Subscription("t", False), *topics, Subscription("t", True)))
        self.assertIn(A, self.router.topic_peers(f"topic {MAX_TOPICS_PER_PEER - 1}"))
        self.assertNotIn(A, self.router.topic_peers(f"topic {MAX_TOPICS_PER_PEER}"))
        self.assertIn(A, self.router.topic_peers("t"))

    def test_own_topics_are_bounded(self) -> None:
        """Nor do we join more than fit into an RPC."""
        self.patch(machine, "MAX_OWN_TOPICS", 1)
        with self.assertRaises(LimitExceeded):
            self.router.subscribe("u", 0)


class MessageTests(RouterCase):
    def test_forwarding(self) -> None:
        """A new message is delivered and sent to the mesh, except to its sender and its author; a second time not."""
        message = unsigned(B, 1)
        effects = self.receive(A, messages=(message,))
        self.assertEqual(effects, [Deliver(message, B, A), SendRpc(C, Rpc(messages=(message,)))])
        self.assertEqual(self.receive(C, messages=(message,)), [])

    def test_floodsub_peers_get_everything(self) -> None:
        """A peer that speaks only floodsub gets every message of its topics, is never grafted, and can not graft."""
        flooder = PEERS[9]
        self.meet(flooder, FLOODSUB)
        self.assertNotIn(flooder, self.sent(self.router.heartbeat(1)))
        self.assertEqual(self.receive(flooder, graft=("t",), prune=(Prune("t"),), ihave=(IHave("t", (b"Qm1",)),)), [])
        self.assertIn(flooder, self.sent(self.receive(A, messages=(unsigned(AUTHOR, 1),))))
        self.assertNotIn(flooder, self.router.mesh("t"))

    def test_our_own_messages_end_with_us(self) -> None:
        """A message with our name on it is neither delivered nor forwarded, whether we know it or not."""
        self.assertEqual(self.receive(A, messages=(unsigned(US, 1),)), [])
        self.assertEqual(self.router.score(A), 0)

    def test_foreign_topics(self) -> None:
        """A message of a topic that we do not subscribe to is dropped, without blame."""
        self.assertEqual(self.receive(A, messages=(unsigned(AUTHOR, 1, "other"),)), [])
        self.assertEqual(self.router.score(A), 0)

    def test_strangers_are_not_heard(self) -> None:
        """RPCs of a peer that was never connected have no effect."""
        self.assertEqual(self.router.received(PEERS[9], Rpc(messages=(unsigned(AUTHOR, 1),), graft=("t",)), 0), [])

    def test_seen_for_two_minutes(self) -> None:
        """A message that comes again within 120 seconds is old; after that it is taken for new."""
        message = unsigned(AUTHOR, 1)
        self.receive(A, messages=(message,))
        self.router.heartbeat(119)
        self.assertEqual(self.receive(A, messages=(message,)), [])
        self.router.heartbeat(120)
        self.assertIn(Deliver(message, AUTHOR, A), self.receive(A, messages=(message,)))

    def test_publishing_floods(self) -> None:
        """Our own message goes to all peers of the topic, in the mesh or not, and not to ourselves."""
        for peer in PEERS[10:30]:
            self.meet(peer)
        effects = self.router.publish(unsigned(US, 1), 0)
        self.assertEqual(set(self.sent(effects)), {A, B, C, *PEERS[10:30]})
        self.assertEqual(len(effects), 23)

    def test_incomplete_messages_are_not_published(self) -> None:
        """To publish a message without a topic or a number is a mistake of ours, and raises."""
        for wrong in ({"topic": None}, {"seqno": None}):
            with self.assertRaises(ValueError):
                self.router.publish(replace(unsigned(US, 1), **wrong), 0)

    def test_fanout(self) -> None:
        """Without flooding, a topic that we only publish to has six peers, the same ones until a minute of disuse."""
        router = trusting_router(US, parameters=Parameters(flood_publish=False))
        for peer in PEERS[10:30]:
            router.peer_connected(peer, GOSSIPSUB_1_1, False)
            router.received(peer, INTERESTED, 0)

        def targets(seqno: int, now: float):
            return set(self.sent(router.publish(unsigned(US, seqno), now)))

        chosen = targets(1, 0)
        self.assertEqual(len(chosen), 6)
        router.heartbeat(59)
        self.assertEqual(targets(2, 59), chosen)
        router.heartbeat(118)
        self.assertEqual(targets(3, 118), chosen)
        router.heartbeat(178)
        self.assertNotEqual(targets(4, 178), chosen)
        chosen = targets(5, 178)
        grafted = {peer for peer, rpc in self.sent(router.subscribe("t", 179)).items() if rpc.graft}
        self.assertEqual(grafted, chosen)


class ValidationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.checked: list[Message] = []
        self.verdict = Verdict.ACCEPT
        parameters = Parameters(checks_per_peer=3, common_checks=5)
        self.router = Router(US, parameters, Random(0), self._check, lambda *_: self.verdict)
        for peer in (A, B, C):
            self.router.peer_connected(peer, GOSSIPSUB_1_1, False)
            self.router.received(peer, INTERESTED, 0)
        self.router.subscribe("t", 0)

    def _check(self, message: Message) -> None:
        self.checked.append(message)
        if message.signature == b"wrong":
            raise MessageInvalid("wrong")

    def receive(self, peer, *messages: Message, now: float = 0.0):
        return self.router.received(peer, Rpc(messages=messages), now)

    def test_wrong_signature(self) -> None:
        """It is not forwarded and costs its sender; the real message of that number still gets through."""
        right = unsigned(AUTHOR, 1)
        self.assertEqual(self.receive(A, replace(right, signature=b"wrong")), [])
        self.assertLess(self.router.score(A), 0)
        self.assertIn(Deliver(right, AUTHOR, B), self.receive(B, right))
        self.assertEqual(self.sent_prunes(self.router.heartbeat(1)), {A})

    def sent_prunes(self, effects):
        return {effect.peer for effect in effects if isinstance(effect, SendRpc) and effect.rpc.prune}

    def test_unsigned_messages(self) -> None:
        """What has no author, number or signature is invalid before anything is computed."""
        right = unsigned(AUTHOR, 1)
        broken = ({"source": None}, {"source": b"nobody"}, {"seqno": None}, {"seqno": b"1"}, {"signature": None})
        for peer, wrong in zip((A, A, B, B, C), broken, strict=True):
            self.assertEqual(self.receive(peer, replace(right, **wrong)), [])
        self.assertEqual(self.checked, [])
        self.assertTrue(all(self.router.score(peer) < 0 for peer in (A, B, C)))

    def test_graylist(self) -> None:
        """After three invalid messages nothing that the peer sends is looked at, not even after it came back."""
        self.receive(A, *(replace(unsigned(AUTHOR, n), signature=b"wrong") for n in range(3)))
        self.assertFalse(self.router.listens_to(A))
        self.router.peer_disconnected(A)
        self.router.peer_connected(A, GOSSIPSUB_1_1, False)
        self.assertEqual(self.receive(A, unsigned(AUTHOR, 9)), [])
        for now in range(1, 60):
            self.router.heartbeat(now)
        self.assertTrue(self.router.listens_to(A))

    def test_what_a_low_score_costs(self) -> None:
        """First the place in the mesh, then gossip, then our messages, then all attention."""
        self.router.heartbeat(1)
        mine, offered = unsigned(US, 1), message_ids(AUTHOR, bytes(8), None).go

        def standing():
            sent = self.router.publish(replace(mine, seqno=self.seqnos.pop()), 1)
            asked = self.router.received(A, Rpc(ihave=(IHave("t", (offered,)),)), 1)
            return any(effect.peer == A for effect in sent), bool(asked), self.router.listens_to(A)

        self.seqnos = [bytes([n]) * 8 for n in range(5)]
        self.assertEqual(standing(), (True, True, True))
        self.router.malformed(A)
        self.assertEqual(self.sent_prunes(self.router.heartbeat(2)), {A})
        self.assertEqual(standing(), (True, True, True))
        self.router.malformed(A)
        self.assertEqual(standing(), (True, False, True))
        for _ in range(2):
            self.router._scores.add_behaviour(A, 4)
        self.assertEqual(standing(), (False, False, True))
        self.router.malformed(A)
        self.assertEqual(standing(), (False, False, False))

    def test_offenders_are_not_grafted(self) -> None:
        """A peer with a penalty is not taken into a mesh that has room."""
        self.router.malformed(A)
        self.router.unsubscribe("t", 0)
        self.router.heartbeat(20)
        self.router.subscribe("t", 20)
        self.assertEqual(self.router.mesh("t"), {B, C})

    def test_malformed_rpcs(self) -> None:
        """Bytes that are no RPC count like an invalid message."""
        for _ in range(3):
            self.router.malformed(A)
        self.assertFalse(self.router.listens_to(A))

    def test_verdicts(self) -> None:
        """Ignored and rejected messages go nowhere and are not judged again; only a rejected one costs."""
        self.verdict = Verdict.IGNORE
        self.assertEqual(self.receive(A, unsigned(AUTHOR, 1)) + self.receive(B, unsigned(AUTHOR, 1)), [])
        self.assertEqual((self.router.score(A), len(self.checked)), (0, 1))
        self.verdict = Verdict.REJECT
        self.assertEqual(self.receive(A, unsigned(AUTHOR, 2)), [])
        self.assertLess(self.router.score(A), 0)

    def test_checks_are_rationed(self) -> None:
        """One peer, and all together, get so many signatures verified a heartbeat; the rest may come again later."""
        self.receive(A, *(unsigned(AUTHOR, n) for n in range(10)))
        self.assertEqual(len(self.checked), 3)
        self.receive(B, *(unsigned(AUTHOR, n) for n in range(10)))
        self.assertEqual(len(self.checked), 5)
        self.router.heartbeat(1)
        self.receive(C, *(unsigned(AUTHOR, n) for n in range(10)))
        self.receive(C, *(unsigned(AUTHOR, n) for n in range(10, 20)))
        self.assertEqual(len(self.checked), 8)
        self.router.heartbeat(2)
        self.receive(C, *(unsigned(AUTHOR, n) for n in range(10, 20)))
        self.assertEqual(len(self.checked), 11)
        self.assertEqual(self.router.score(A), 0)


class MeshTests(RouterCase):
    def test_graft(self) -> None:
        """A peer of the topic may graft us, silently; in other topics it gets no answer."""
        self.meet(PEERS[9])
        self.assertEqual(self.receive(PEERS[9], graft=("t", "t", "other")), [])
        self.assertIn(PEERS[9], self.router.mesh("t"))
        self.assertEqual(self.router.score(PEERS[9]), 0)

    def test_graft_without_subscribing(self) -> None:
        """Who has not subscribed can't be in the mesh, and is told so."""
        self.router.peer_connected(PEERS[9], GOSSIPSUB_1_1, False)
        refusal = self.receive(PEERS[9], graft=("t",))
        self.assertEqual(refusal, [SendRpc(PEERS[9], Rpc(prune=(Prune("t", 60),)))])

    def test_full_mesh(self) -> None:
        """Above twelve a GRAFT is refused, unless we have dialed the peer; the next heartbeat cuts down to six."""
        for peer in PEERS[10:20]:
            self.meet(peer)
            self.receive(peer, graft=("t",))
        self.assertEqual((len(self.router.mesh("t")), PEERS[19] in self.router.mesh("t")), (12, False))
        self.meet(PEERS[20], outbound=True)
        self.receive(PEERS[20], graft=("t",))
        self.assertEqual(len(self.router.mesh("t")), 13)
        pruned = [peer for peer, rpc in self.sent(self.router.heartbeat(1)).items() if rpc.prune]
        self.assertEqual((len(self.router.mesh("t")), len(pruned)), (6, 7))
        self.assertIn(PEERS[20], self.router.mesh("t"))

    def test_dialed_peers_in_the_mesh(self) -> None:
        """A mesh that is large enough still takes in two peers that we have dialed."""
        for peer in PEERS[10:14]:
            self.meet(peer)
            self.receive(peer, graft=("t",))
        for peer in PEERS[20:25]:
            self.meet(peer, outbound=True)
        self.router.heartbeat(1)
        self.assertEqual(len(self.router.mesh("t") & set(PEERS[20:25])), 2)

    def test_their_backoff_is_honoured(self) -> None:
        """After a PRUNE the peer is not grafted before the time it named, and our slack, have passed."""
        self.receive(A, prune=(Prune("t", 20),), now=0)
        for now in range(1, 21):
            self.assertEqual(self.router.heartbeat(now), [])
        self.assertEqual(self.router.heartbeat(21), [SendRpc(A, Rpc(graft=("t",)))])

    def test_backoff_bounds(self) -> None:
        """No backoff means a minute, the largest number an hour, and nothing overflows."""
        for named, seconds in ((None, 60), (0, 60), (HUGE_BACKOFF, 3600)):
            self.setUp()
            self.receive(A, prune=(Prune("t", named),), now=0)
            self.router.heartbeat(seconds)
            self.assertNotIn(A, self.router.mesh("t"))
            self.router.heartbeat(seconds + 1)
            self.assertIn(A, self.router.mesh("t"))

    def test_broken_backoff(self) -> None:
        """A GRAFT in the backoff is refused and lengthens it; a few are forgiven, more cost the peer its hearing."""
        self.receive(A, prune=(Prune("t", 60),), now=0)
        refusal = self.receive(A, graft=("t",), now=30)
        self.assertEqual(refusal, [SendRpc(A, Rpc(prune=(Prune("t", 60),)))])
        self.router.heartbeat(62)
        self.assertNotIn(A, self.router.mesh("t"))
        self.assertEqual(self.router.score(A), 0)
        for _ in range(5):
            self.receive(A, graft=("t",), now=63)
        self.assertFalse(self.router.listens_to(A))

    def test_old_peers_get_no_backoff(self) -> None:
        """A peer that speaks 1.0 is pruned without naming a time."""
        self.meet(PEERS[9], GOSSIPSUB_1_0)
        self.receive(PEERS[9], graft=("t",))
        self.assertEqual(self.sent(self.router.unsubscribe("t", 0))[PEERS[9]].prune, (Prune("t", None),))


class GossipTests(RouterCase):
    def setUp(self) -> None:
        """D is connected as well and in the topic, but kept out of the mesh."""
        super().setUp()
        self.other = PEERS[9]
        self.meet(self.other)
        self.receive(self.other, prune=(Prune("t", HUGE_BACKOFF),))

    def test_offers(self) -> None:
        """Recent messages are offered to peers outside the mesh in three heartbeats, handed out for five."""
        message = unsigned(AUTHOR, 1)
        self.receive(A, messages=(message,))
        offer = SendRpc(self.other, Rpc(ihave=(IHave("t", (ids_of(message).go,)),)))
        self.assertEqual([self.router.heartbeat(now) for now in range(1, 5)], [[offer]] * 3 + [[]])
        answer = [SendRpc(self.other, Rpc(messages=(message,)))]
        self.assertEqual(self.receive(self.other, iwant=(ids_of(message).go,)), answer)
        self.router.heartbeat(5)
        self.assertEqual(self.receive(self.other, iwant=(ids_of(message).go,)), [])

    def test_offers_in_the_peers_style(self) -> None:
        """To a peer that has asked in js-libp2p's style we offer in that style."""
        first, second = unsigned(AUTHOR, 1), unsigned(AUTHOR, 2)
        self.receive(A, messages=(first, second))
        self.receive(self.other, iwant=(ids_of(first).js,))
        (offer,) = self.router.heartbeat(1)
        self.assertEqual(offer.rpc.ihave[0].ids, (ids_of(first).js, ids_of(second).js))

    def test_learning_the_style_of_an_offer(self) -> None:
        """To a peer that has offered in rust-libp2p's style we offer in that style."""
        message = unsigned(AUTHOR, 1)
        self.receive(A, messages=(message,))
        self.receive(self.other, ihave=(IHave("t", (ids_of(message).rust,)),))
        self.assertEqual(self.router.heartbeat(1)[0].rpc.ihave, (IHave("t", (ids_of(message).rust,)),))

    def test_offers_are_bounded(self) -> None:
        """Of more messages than one RPC may name, a random part is offered."""
        self.router = trusting_router(US, parameters=Parameters(max_ihave_ids=5))
        self.meet(self.other)
        self.router.subscribe("t", 0)
        self.receive(self.other, prune=(Prune("t", HUGE_BACKOFF),), messages=[unsigned(AUTHOR, n) for n in range(20)])
        self.router.subscribe("u", 0)
        self.receive(self.other, subscriptions=(Subscription("u", True),), prune=(Prune("u", HUGE_BACKOFF),))
        self.receive(self.other, messages=[unsigned(AUTHOR, 30, "u")])
        (offer,) = self.router.heartbeat(1)
        self.assertEqual([(ihave.topic, len(set(ihave.ids))) for ihave in offer.rpc.ihave], [("t", 5)])

    def test_retransmissions_are_bounded(self) -> None:
        """The same message is handed to one peer three times, under whatever ID it asks."""
        message = unsigned(AUTHOR, 1)
        self.receive(A, messages=(message,))
        asked = self.receive(self.other, iwant=(*ids_of(message), *ids_of(message)))
        self.assertEqual(len(asked), 3)

    def test_asking(self) -> None:
        """What is offered and new is asked for; what was seen, is of another topic, or has an alien ID is not."""
        seen, new = unsigned(AUTHOR, 1), unsigned(AUTHOR, 2)
        self.receive(A, messages=(seen,))
        offered = (*ids_of(seen), ids_of(new).rust, b"\xab" * 32)
        asked = self.receive(self.other, ihave=(IHave("t", offered), IHave("other", (ids_of(new).go,))))
        self.assertEqual(asked, [SendRpc(self.other, Rpc(iwant=(ids_of(new).rust,)))])

    def test_asking_is_bounded(self) -> None:
        """Of one peer ten IHAVEs and 5000 messages a heartbeat are followed, in RPCs that others can decode."""

        def offer(first: int, count: int):
            ids = tuple(ids_of(unsigned(AUTHOR, n)).go for n in range(first, first + count))
            effects = self.receive(self.other, ihave=(IHave("t", ids),))
            return [len(effect.rpc.iwant) for effect in effects]

        self.assertEqual(offer(0, 4999), [1000, 1000, 1000, 1000, 999])
        self.assertEqual(offer(5000, 10), [1])
        self.router.heartbeat(1)
        self.assertEqual([offer(6000 + n, 1) for n in range(11)], [[1]] * 10 + [[]])

    def test_broken_promises(self) -> None:
        """A peer that offers what it never sends loses its hearing; one that others were only faster than does not."""
        for now in range(1, 20):
            ids = tuple(ids_of(unsigned(AUTHOR, 100 * now + n)).go for n in range(10))
            self.receive(self.other, ihave=(IHave("t", ids),), now=now)
            kept = unsigned(AUTHOR, 5000 + now)
            self.receive(A, ihave=(IHave("t", (ids_of(kept).go,)),), now=now)
            self.receive(B, messages=(kept,), now=now)
            self.router.heartbeat(now + 0.5)
        self.assertFalse(self.router.listens_to(self.other))
        self.assertEqual(self.router.score(A), 0)

    def test_forgiven_promises(self) -> None:
        """A peer is not to blame for what we had no time to verify, no longer want, or what it left before sending."""
        ids = [ids_of(unsigned(AUTHOR, n)).go for n in range(200)]
        for story in ("throttled", "unsubscribed", "disconnected"):
            self.router = trusting_router(US, parameters=Parameters(checks_per_peer=0))
            self.meet(A)
            self.router.subscribe("t", 0)
            for n in range(10):
                self.receive(A, ihave=(IHave("t", (ids[n],)),))
            if story == "throttled":
                self.receive(A, messages=tuple(unsigned(AUTHOR, n) for n in range(10)))
            elif story == "unsubscribed":
                self.router.unsubscribe("t", 1)
            else:
                self.router.peer_disconnected(A)
            self.router.heartbeat(5)
            self.assertEqual(self.router.score(A), 0, story)


class IDontWantTests(RouterCase):
    """A, B and C are in the mesh; D speaks only floodsub; E is outside the mesh and may ask with IWANT."""

    def setUp(self) -> None:
        super().setUp()
        self.flooder, self.other = PEERS[9:11]
        self.meet(self.flooder, FLOODSUB)
        self.meet(self.other, GOSSIPSUB_1_2)
        self.receive(self.other, prune=(Prune("t", HUGE_BACKOFF),))

    def receivers(self, effects):
        return {peer for peer, rpc in self.sent(effects).items() if rpc.messages}

    def test_refused_messages_are_not_forwarded(self) -> None:
        """Whoever has refused a message, under any of its IDs, does not get it; everyone else does."""
        for seqno, style in enumerate(IdStyle):
            message = unsigned(AUTHOR, seqno)
            self.receive(B, idontwant=(b"something else", ids_of(message).in_style(style)))
            self.assertEqual(self.receivers(self.receive(A, messages=(message,))), {C, self.flooder})

    def test_refused_messages_are_not_published(self) -> None:
        """It holds for our own messages as well."""
        message = unsigned(US, 7)
        self.receive(B, idontwant=(ids_of(message, US).go,))
        self.assertEqual(self.receivers(self.router.publish(message, 0)), {A, C, self.flooder, self.other})

    def test_refused_messages_are_not_handed_out(self) -> None:
        """An IDONTWANT takes back an IWANT of the same message, also if that names it in another style."""
        message = unsigned(AUTHOR, 1)
        self.receive(A, messages=(message,))
        self.receive(self.other, idontwant=(ids_of(message).js,))
        self.assertEqual(self.receive(self.other, iwant=(ids_of(message).js, ids_of(message).go)), [])
        both = {"iwant": (ids_of(message).js,), "idontwant": (ids_of(message).js,)}
        self.assertEqual(self.receivers(self.receive(B, **both)), {B}, "what was asked for first has gone out")

    def test_refused_for_three_heartbeats(self) -> None:
        """Then the peer may have forgotten the message, and gets it again."""
        message = unsigned(AUTHOR, 1)
        self.receive(B, idontwant=(ids_of(message).go,))
        for now in (1, 2):
            self.router.heartbeat(now)
        self.receive(A, messages=(unsigned(AUTHOR, 2),))
        self.receive(C, idontwant=(ids_of(message).go,))
        self.router.heartbeat(3)
        self.assertEqual(self.receivers(self.receive(A, messages=(message,))), {B, self.flooder})

    def test_refusals_end_with_the_connection(self) -> None:
        """A peer that comes back begins anew."""
        message = unsigned(AUTHOR, 1)
        self.receive(B, idontwant=(ids_of(message).go,))
        self.router.peer_disconnected(B)
        self.meet(B)
        self.receive(B, graft=("t",))
        self.assertIn(B, self.receivers(self.receive(A, messages=(message,))))

    def test_floodsub_has_no_refusals(self) -> None:
        """Who speaks only floodsub gets everything, whatever else it says."""
        message = unsigned(AUTHOR, 1)
        self.receive(self.flooder, idontwant=(ids_of(message).go,))
        self.assertIn(self.flooder, self.receivers(self.receive(A, messages=(message,))))

    def test_learning_the_style_of_a_refusal(self) -> None:
        """To a peer that has refused in js-libp2p's style we offer in that style."""
        message = unsigned(AUTHOR, 1)
        self.receive(A, messages=(message,))
        self.receive(self.other, idontwant=(ids_of(unsigned(AUTHOR, 2)).js,))
        self.assertEqual(self.sent(self.router.heartbeat(1))[self.other].ihave, (IHave("t", (ids_of(message).js,)),))

    def test_refusals_are_bounded(self) -> None:
        """Of one peer so many are heeded in a heartbeat, and the same number again in the next."""
        self.router = trusting_router(US, parameters=Parameters(max_idontwant_ids=2))
        for peer in (A, B):
            self.meet(peer)
        self.router.subscribe("t", 0)
        messages = [unsigned(AUTHOR, n) for n in range(4)]
        self.receive(B, idontwant=tuple(ids_of(message).go for message in messages[:3]))
        self.router.heartbeat(1)
        self.receive(B, idontwant=(ids_of(messages[3]).go,))
        refused = [not self.receive(A, messages=(message,))[1:] for message in messages]
        self.assertEqual(refused, [True, True, False, True])

    def test_floods_of_refusals(self) -> None:
        """Too many count once a heartbeat, in however many RPCs: forgiven at first, then they cost the hearing."""
        flood = tuple(ids_of(unsigned(AUTHOR, n)).go for n in range(DEFAULTS.max_idontwant_ids + 1))
        for now in range(1, 7):
            for _ in range(3):
                self.receive(B, idontwant=flood)
            self.receive(C, idontwant=flood[1:])
            self.router.heartbeat(now)
        self.assertEqual(self.router.score(B), 0)
        for now in range(7, 12):
            self.receive(B, idontwant=flood)
            self.receive(C, idontwant=flood[1:])
            self.router.heartbeat(now)
        self.assertEqual((self.router.listens_to(B), self.router.listens_to(C)), (False, True))

    def test_large_messages_are_refused(self) -> None:
        """With 1024 bytes the mesh is told at once that we have it: those who understand that, not the sender."""
        for peer in (A, B):
            self.router.peer_disconnected(peer)
            self.meet(peer, GOSSIPSUB_1_2)
            self.receive(peer, graft=("t",))
        small, large = unsigned(AUTHOR, 1, data=bytes(1023)), unsigned(AUTHOR, 2, data=bytes(1024))
        effects = self.receive(A, messages=(small, large))
        refusals = [effect for effect in effects if isinstance(effect, SendRpc) and effect.rpc.idontwant]
        self.assertEqual(refusals, [SendRpc(B, Rpc(idontwant=(ids_of(large).go,)))])
        first = next(effect for effect in effects if isinstance(effect, SendRpc) and effect.peer == B)
        self.assertEqual(first, refusals[0], "it is of use only before the message")

    def test_refusing_in_the_peers_style_and_in_small_pieces(self) -> None:
        """We refuse in the style in which the peer has spoken, ten messages in an RPC, as many as go-libp2p heeds."""
        self.receive(self.other, graft=("t",), now=MAX_BACKOFF_SECONDS + 1)
        self.receive(self.other, idontwant=(ids_of(unsigned(AUTHOR, 99)).rust,))
        large = [unsigned(AUTHOR, n, data=bytes(1024)) for n in range(12)]
        effects = self.receive(A, messages=tuple(large))
        refused = [effect.rpc.idontwant for effect in effects if isinstance(effect, SendRpc) and effect.rpc.idontwant]
        names = tuple(ids_of(message).rust for message in large)
        self.assertEqual(refused, [names[:10], names[10:]])


class GarbageTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(PEERS[:6]), rpcs, st.booleans()), max_size=12))
    def test_any_rpcs_from_anybody(self, story) -> None:
        """Whatever peers send in whatever order, nothing is raised and nobody is sent an empty RPC."""
        router = trusting_router(US)
        for topic in ("", "a", "0"):
            router.subscribe(topic, 0)
        for n, peer in enumerate(PEERS[1:5]):
            router.peer_connected(peer, (GOSSIPSUB_1_1, GOSSIPSUB_1_2, GOSSIPSUB_1_0, FLOODSUB)[n], outbound=n % 2 == 0)
        for now, (peer, rpc, beat) in enumerate(story):
            effects = router.received(peer, rpc, now)
            effects += router.heartbeat(now) if beat else []
            for effect in effects:
                if isinstance(effect, SendRpc):
                    self.assertTrue(effect.rpc)
                    self.assertNotIn(US.multihash, [message.source for message in effect.rpc.messages])
