"""Tests for nodetrust.libp2p.upgrade."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import HandshakeError, Libp2pError, NegotiationError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.noise import NoiseSecurity
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.upgrade import (
    FIRST_MESSAGE_SECONDS,
    INBOUND_SECONDS,
    MUXERS,
    OUTBOUND_SECONDS,
    upgrade_inbound,
    upgrade_outbound,
)
from nodetrust.testing.memory import Wire

DIALER, LISTENER = PrivateKey.from_seed(b"\x01" * 32), PrivateKey.from_seed(b"\x02" * 32)


class UpgradeTests(SynchronousTestCase):
    """Security and muxer, agreed on from both ends of a wire."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1.7e9)
        self.wire = Wire()

    def upgrade(self, dialing: list, listening: list, expected: object = LISTENER.peer_id) -> tuple[Deferred, Deferred]:
        outbound = Deferred.fromCoroutine(upgrade_outbound(self.wire.dialer, dialing, expected, self.clock))
        inbound = Deferred.fromCoroutine(upgrade_inbound(self.wire.listener, listening, self.clock))
        self.wire.pump()
        return outbound, inbound

    def test_preference(self) -> None:
        """The first of the dialer's security layers that the listener has is used, with either way to a muxer."""
        for muxers in (MUXERS, ()):
            noise, tls = (NoiseSecurity(DIALER, muxers), TlsSecurity(DIALER, muxers, self.clock))
            theirs = [TlsSecurity(LISTENER, muxers, self.clock), NoiseSecurity(LISTENER, muxers)]
            for dialing, chosen in (([noise, tls], "/noise"), ([tls, noise], "/tls/1.0.0")):
                self.wire = Wire()
                outbound, inbound = map(self.successResultOf, self.upgrade(dialing, theirs))
                self.assertEqual((chosen, chosen), (outbound.security, inbound.security))
                self.assertEqual(LISTENER.peer_id, outbound.secured.remote_peer)
                self.assertEqual(DIALER.peer_id, inbound.secured.remote_peer)
                self.assertEqual([], self.clock.getDelayedCalls())

    def test_listener_knows_only_the_second(self) -> None:
        """A layer that the listener does not have is passed over."""
        dialing = [TlsSecurity(DIALER, MUXERS, self.clock), NoiseSecurity(DIALER, MUXERS)]
        outbound, inbound = self.upgrade(dialing, [NoiseSecurity(LISTENER, MUXERS)])
        self.assertEqual("/noise", self.successResultOf(outbound).security)
        self.successResultOf(inbound)

    def test_nothing_common(self) -> None:
        """Without a common layer both fail, and the channels are aborted."""
        dialing = [TlsSecurity(DIALER, MUXERS, self.clock)]
        outbound, inbound = self.upgrade(dialing, [NoiseSecurity(LISTENER, MUXERS)])
        self.failureResultOf(outbound, NegotiationError)
        self.failureResultOf(inbound, NegotiationError)
        self.assertTrue(self.wire.dialer.aborted)

    def test_other_peer(self) -> None:
        """A peer who is not the expected one is refused by the dialer."""
        outbound, inbound = self.upgrade(
            [NoiseSecurity(DIALER, MUXERS)], [NoiseSecurity(LISTENER, MUXERS)], DIALER.peer_id
        )
        self.failureResultOf(outbound, HandshakeError)
        self.failureResultOf(inbound, Libp2pError)

    def test_silence(self) -> None:
        """A remote side that says nothing is given up in time, and the channel aborted."""
        outbound = Deferred.fromCoroutine(
            upgrade_outbound(self.wire.dialer, [NoiseSecurity(DIALER, MUXERS)], None, self.clock)
        )
        self.clock.advance(OUTBOUND_SECONDS)
        self.failureResultOf(outbound, Libp2pError)
        self.assertTrue(self.wire.dialer.aborted)

    def test_first_message(self) -> None:
        """Whoever connects has little time to say which security layer to speak: a byte now and then is not enough."""
        inbound = Deferred.fromCoroutine(
            upgrade_inbound(self.wire.listener, [NoiseSecurity(LISTENER, MUXERS)], self.clock)
        )
        self.clock.advance(FIRST_MESSAGE_SECONDS - 0.1)
        self.wire.dialer.write(b"\x13/multistream/1.0.0\n\x07/noi")
        self.wire.pump()
        self.assertNoResult(inbound)
        self.clock.advance(0.1)
        self.failureResultOf(inbound, NegotiationError)
        self.assertTrue(self.wire.listener.aborted)

    def test_one_deadline(self) -> None:
        """A remote side that says a little now and then gets no more time for it."""
        inbound = Deferred.fromCoroutine(
            upgrade_inbound(self.wire.listener, [NoiseSecurity(LISTENER, MUXERS)], self.clock)
        )
        for piece in (b"\x13/multistream/1.0.0\n", b"\x07/noise\n", b"\x00\x20" + bytes(5), bytes(5)):
            self.wire.dialer.write(piece)
            self.wire.pump()
            self.assertNoResult(inbound)
            self.clock.advance(INBOUND_SECONDS / 4)
        self.failureResultOf(inbound, Libp2pError)
        self.assertTrue(self.wire.listener.aborted)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_cancelled(self) -> None:
        """Whoever cancels leaves nothing behind."""
        outbound = Deferred.fromCoroutine(
            upgrade_outbound(self.wire.dialer, [NoiseSecurity(DIALER, MUXERS)], None, self.clock)
        )
        outbound.cancel()
        self.failureResultOf(outbound, CancelledError)
        self.assertTrue(self.wire.dialer.aborted)
        self.assertEqual([], self.clock.getDelayedCalls())
