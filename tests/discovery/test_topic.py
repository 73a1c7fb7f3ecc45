"""The topic: what is neither delivered nor carried."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import Discovery, encode_announcement, relay, watch
from nodetrust.libp2p.pubsub import PubSubMessage, Verdict
from tests.discovery.test_announcement import AUTHOR, OTHER, PLACE


class FakePubSub:
    """Keeps the one subscription, and what is published."""

    def __init__(self):
        self.topic = self.deliver = self.judge = None
        self.published = []
        self.joined = frozenset()

    def subscribe(self, topic, deliver, judge):
        self.topic, self.deliver, self.judge = topic, deliver, judge
        return lambda: setattr(self, "topic", None)

    def publish(self, topic, data):
        self.published.append((topic, data))

    def peers(self, topic):
        return self.joined


def message(payload, author=AUTHOR, seqno=1, sender=None):
    return PubSubMessage("nodetrust_discovery_v2", payload, author, seqno, author if sender is None else sender)


class TopicTests(SynchronousTestCase):
    def test_watch(self):
        """Whoever watches is told who is at which addresses: the peer behind the author, where there is one."""
        pubsub, found = FakePubSub(), []
        watch(pubsub, lambda peer, addresses: found.append((peer, addresses)))
        self.assertEqual(pubsub.topic, "nodetrust_discovery_v2")
        pubsub.deliver(message(encode_announcement([PLACE])))
        pubsub.deliver(message(encode_announcement([PLACE], OTHER)))
        self.assertEqual(found, [(peer, [PLACE.with_peer_id(peer)]) for peer in (AUTHOR, OTHER)])

    def test_judgement(self):
        """Good announcements are carried, what is none is not: by those who only relay, too."""
        for join in (lambda pubsub: watch(pubsub, lambda *_: None), relay):
            pubsub = FakePubSub()
            join(pubsub)
            self.assertEqual(pubsub.judge(message(encode_announcement([PLACE]))), Verdict.ACCEPT)
            self.assertEqual(pubsub.judge(message(b"\xff")), Verdict.REJECT)

    def test_who_is_to_blame(self):
        """What is none counts against its author, and not against who has passed it on: he may not know what it is."""
        for join in (lambda pubsub: watch(pubsub, lambda *_: None), relay, lambda p: Discovery(p, Clock()).start()):
            pubsub = FakePubSub()
            join(pubsub)
            self.assertEqual(pubsub.judge(message(b"\xff", sender=AUTHOR)), Verdict.REJECT)
            self.assertEqual(pubsub.judge(message(b"\xff", sender=OTHER)), Verdict.IGNORE)
