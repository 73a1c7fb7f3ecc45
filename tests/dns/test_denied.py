"""What lists of prefixes do to answers."""

from ipaddress import ip_network

import dns.message
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.denied import policy_with
from nodetrust.dns.observe.counters import Counters
from nodetrust.dns.respond import Responder
from nodetrust.dns.sources import every_address
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import Lists
from nodetrust.lists.prefixes import PrefixSet
from tests.dns.example import ask, authority, rows


def prefixes(*texts: str) -> Entries:
    return Entries(PrefixSet(map(ip_network, texts)))


class DenialTests(SynchronousTestCase):
    """On the short path and the full one."""

    def test_denied(self) -> None:
        """A denied address is a name without records, in every form of name; others answer; denials are counted."""
        lists = Lists(prefixes("1.2.0.0/16", "2001:db8::/32"), prefixes("1.2.3.0/24"))
        counters = Counters()
        policy = policy_with(lists, every_address, counters)
        world = authority(policy=policy)
        for name, type_, answered in (
            ("ip41-2-4-1.nt.test", "A", False),
            ("ip41-2-3-4.nt.test", "A", True),
            ("ip41-3-3-4.nt.test", "A", True),
            ("IP62001-db8--1.nt.test", "AAAA", False),
            ("ip62001-db9--1.nt.test", "AAAA", True),
            ("ip6--ffff-102-401.nt.test", "AAAA", False),
            ("ip664-ff9b--102-401.nt.test", "AAAA", False),
            ("ip664-ff9b--102-301.nt.test", "AAAA", True),
        ):
            response = ask(world, name, type_)
            self.assertEqual((response.rcode(), bool(response.answer)), (0, answered), name)
            self.assertEqual(len(rows(response.authority)), 0 if answered else 1)
            for edns in (-1, 0):
                responder = Responder(world, lambda: 0.0)
                query = dns.message.make_query(name, type_, use_edns=edns)
                short = responder.respond(query.to_wire(), udp=True)
                assert short is not None
                self.assertEqual(bool(dns.message.from_wire(short).answer), answered)
        self.assertGreater(counters.denied, 0)

    def test_without_lists(self) -> None:
        """Empty lists cost nothing: the policy stays the same one."""
        self.assertIs(policy_with(Lists(prefixes(), prefixes("::/0")), every_address, Counters()), every_address)
