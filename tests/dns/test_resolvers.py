"""The sources inside Twisted's own name server."""

from twisted.internet.defer import Deferred
from twisted.names import dns, error
from twisted.names.common import ResolverBase
from twisted.names.resolve import ResolverChain
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.records import parse_name
from nodetrust.dns.resolvers import (
    AutoTlsResolver,
    ChallengeResolver,
    Ip4Resolver,
    Ip6Resolver,
    PeerResolver,
    ZoneResolver,
)
from tests.dns.example import CID, PEER, PEER_LABEL, authority


class ResolverTests(SynchronousTestCase):
    """Each resolver alone, and all of them in a chain."""

    def setUp(self) -> None:
        self.table = ChallengeTable()
        self.table.add(Challenge(parse_name("ip6--1.nt.test"), b"value"), 0)
        self.chain = ResolverChain(
            [
                ZoneResolver(authority().zone),
                ChallengeResolver("nt.test", self.table, lambda: 1.0),
                Ip4Resolver("NT.test.", ttl=60),
                Ip6Resolver("nt.test"),
                PeerResolver("nt.test"),
                AutoTlsResolver("nt.test"),
            ]
        )

    def answers(self, resolver: ResolverBase, name: str, type_: int) -> list[object]:
        found: Deferred[tuple[list[dns.RRHeader], list, list]] = resolver.query(dns.Query(name, type_, dns.IN))
        records, authority_, additional = self.successResultOf(found)
        self.assertEqual((authority_, additional), ([], []))
        self.assertTrue(
            all(record.isAuthoritative() and str(record.name).lower() == name.lower() for record in records)
        )
        return [record.payload for record in records]

    def test_chain(self) -> None:
        """A chain of the resolvers gives the records of every kind of name, as Twisted's objects."""
        for name, type_, expected in [
            ("IP41-2-3-4.nt.TEST", dns.A, [dns.Record_A("1.2.3.4", 60)]),
            ("ip62001-db8--0.x.nt.test", dns.AAAA, [dns.Record_AAAA("2001:db8::", 3600)]),
            (f"{PEER_LABEL}.nt.test", dns.TXT, [dns.Record_TXT(b"id=%s" % PEER.encode(), ttl=3600)]),
            ("_acme-challenge.ip6--1.nt.test", dns.TXT, [dns.Record_TXT(b"value", ttl=10)]),
            (f"1-2-3-4.{CID}.nt.test", dns.A, [dns.Record_A("1.2.3.4", 3600)]),
            ("ns1.nt.test", dns.A, [dns.Record_A("192.0.2.1", 300)]),
            ("nt.test", dns.MX, [dns.Record_MX(10, "ns1.nt.test", 300)]),
            ("nt.test", 257, [dns.UnknownRecord(b"\0\5issueletsencrypt.org", 300)]),
            ("any.wild.nt.test", dns.TXT, [dns.Record_TXT(b"wild", ttl=300)]),
            ("ip41-2-3-4.nt.test", dns.AAAA, []),
        ]:
            self.assertEqual(self.answers(self.chain, name, type_), expected)

    def test_other_kinds_are_left_to_others(self) -> None:
        """A name of another kind or zone fails so that the next resolver is asked."""
        resolver = Ip4Resolver("nt.test")
        for name in ("ip6--1.nt.test", "www.nt.test", "nt.test", "ip41-2-3-4.example.org"):
            failure = self.failureResultOf(resolver.lookupAddress(name), dns.DomainError)
            self.assertFalse(failure.check(error.AuthoritativeDomainError))

    def test_broken_labels_end_the_search(self) -> None:
        """A name of this kind that spells nothing does not exist, whoever else is asked."""
        for name in ("ip4256-1-1-1.nt.test", "ip6xyz.nt.test", "pproof.nt.test"):
            self.failureResultOf(self.chain.lookupAddress(name), error.AuthoritativeDomainError)

    def test_host_names(self) -> None:
        """`lookupText` and its like work as on any resolver."""
        records, _, _ = self.successResultOf(self.chain.lookupText(f"{PEER_LABEL}.nt.test"))
        self.assertEqual(records[0].payload.data, [b"id=%s" % PEER.encode()])
