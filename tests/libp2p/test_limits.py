"""Tests for nodetrust.libp2p.limits."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.limits import MIN_IDLE_SECONDS, ConnectionBudget, Limits, Ticket


class Socket:
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class ConnectionBudgetTests(SynchronousTestCase):
    """Who is let in, and that places are given back exactly once."""

    def test_per_network(self) -> None:
        """One IPv4 address, or one IPv6 /56, holds so many; its neighbour is not hindered."""
        for first, second, neighbour in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8:0:ff::2", "2001:db8:0:100::1"),
        ):
            budget = ConnectionBudget(Limits(connections_per_network=1))
            ticket = budget.admit(ip_address(first))
            self.assertIsNone(budget.admit(ip_address(second)))
            self.assertIsNotNone(budget.admit(ip_address(neighbour)))
            ticket.release()
            ticket.release()
            self.assertIsNotNone(budget.admit(ip_address(second)))
            self.assertIsNone(budget.admit(ip_address(first)))

    def admit(self, budget: ConnectionBudget) -> Ticket:
        ticket = budget.admit(ip_address("192.0.2.1"))
        ticket.socket = Socket()
        return ticket

    def test_loopback(self) -> None:
        """Loopback is bound by the totals only."""
        budget = ConnectionBudget(Limits(connections_per_network=1, inbound_connections=2))
        admitted = [budget.admit(ip_address("127.0.0.1")) for _ in range(3)]
        self.assertEqual([True, True, False], [ticket.authenticated() for ticket in admitted])

    def test_handshakes(self) -> None:
        """Sockets of unknown owner are counted apart; of too many, the oldest gives its place to the newcomer."""
        budget = ConnectionBudget(Limits(handshakes=2, connections_per_network=9))
        known, oldest = self.admit(budget), self.admit(budget)
        self.assertTrue(known.authenticated())
        second = self.admit(budget)
        self.assertEqual((1, 2), (budget.inbound, budget.handshakes))
        third = self.admit(budget)
        self.assertEqual([False, True, False, False], [t.socket.aborted for t in (known, oldest, second, third)])
        self.assertFalse(oldest.authenticated())
        self.assertEqual((4, 1, 2), (budget.open, budget.inbound, budget.handshakes))
        for ticket in (known, oldest, second, third):
            ticket.release()
        self.assertEqual((0, 0, 0), (budget.open, budget.inbound, budget.handshakes))

    def test_idle(self) -> None:
        """Where all places are taken, a known peer gets that of the one that has been without a stream for longest."""
        budget = ConnectionBudget(Limits(inbound_connections=3, connections_per_network=9))
        peers = [self.admit(budget) for _ in range(3)]
        for ticket, seconds in zip(peers, (MIN_IDLE_SECONDS, MIN_IDLE_SECONDS + 1, 0.0), strict=True):
            self.assertTrue(ticket.authenticated())
            ticket.idle = lambda seconds=seconds: seconds
        self.assertTrue(self.admit(budget).authenticated())
        self.assertEqual([False, True, False], [ticket.socket.aborted for ticket in peers])
        self.assertTrue(self.admit(budget).authenticated())
        self.assertEqual([True, True, False], [ticket.socket.aborted for ticket in peers])
        self.assertFalse(self.admit(budget).authenticated())
        self.assertEqual((3, 1), (budget.inbound, budget.handshakes))

    def test_dialed(self) -> None:
        """Dialed sockets are never refused and take no place from accepted ones."""
        budget = ConnectionBudget(Limits(inbound_connections=1, handshakes=1))
        tickets = [budget.dialed(), budget.dialed()]
        self.assertEqual(2, budget.open)
        self.assertIsNotNone(budget.admit(ip_address("192.0.2.1")))
        for ticket in tickets:
            ticket.authenticated()
            ticket.release()
        self.assertEqual((1, 1), (budget.open, budget.handshakes))

    def test_the_end(self) -> None:
        """Sockets are aborted on demand, and the last one's end is told."""
        budget = ConnectionBudget(Limits())
        unknown, known = budget.admit(ip_address("192.0.2.1")), budget.dialed()
        known.authenticated()
        unknown.socket, known.socket = Socket(), Socket()
        first, second = unknown.socket, known.socket
        budget.abort_all(unauthenticated_only=True)
        self.assertEqual((True, False), (first.aborted, second.aborted))
        budget.abort_all()
        self.assertTrue(second.aborted)
        told: list[int] = []
        budget.when_empty(lambda: told.append(1))
        known.release()
        self.assertEqual([], told)
        unknown.release()
        budget.when_empty(lambda: told.append(2))
        self.assertEqual([1, 2], told)
