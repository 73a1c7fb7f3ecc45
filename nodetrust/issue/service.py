"""The issue server on a libp2p host."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.broker.service import BrokerService
from nodetrust.challenges.servers import DnsServers
from nodetrust.discovery import relay, start_pubsub
from nodetrust.issue.decide import Policy
from nodetrust.issue.evidence.in_force import TrustInForce
from nodetrust.issue.evidence.trust import Trust
from nodetrust.issue.orders import Orders
from nodetrust.issue.own.service import OwnService
from nodetrust.issue.protocol import IssueProtocol
from nodetrust.issue.renewal.windows import Windows
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.messages import ISSUE_INFO_PROTOCOL, ISSUE_PROTOCOL, MAX_ISSUE_REQUEST_BYTES
from nodetrust.reachability.decide import Rules as CheckRules
from nodetrust.reachability.protocol import CheckProtocol
from nodetrust.service import RoleService, dial_options, listen_all, open_host
from nodetrust.settings import within
from nodetrust.store import Store

REQUEST_SECONDS = 30.0
"""How long a peer may take to send its request."""


class IssueService(RoleService):
    """Checks proofs, and gets certificates for those who have them; it may be an AutoTLS broker besides."""

    name = "nodetrust-issue"
    log = Logger()

    def __init__(self, reactor: Any, settings: IssueSettings) -> None:
        super().__init__(reactor)
        self.settings = settings
        self.host: Host | None = None
        self.store: Store | None = None
        self.dns: DnsServers | None = None
        self.own: OwnService | None = None
        self.broker: BrokerService | None = None
        self.orders: Orders | None = None
        self._pubsub: PubSub | None = None
        self._trust: TrustInForce | None = None
        self._besides: list[Deferred[None]] = []
        self._checks: CheckProtocol | None = None

    async def start(self) -> None:
        """Listen, open the store, and serve; nothing waits for the CAs, whose directories are fetched besides."""
        settings = self.settings
        options = dial_options(self.reactor, None, settings.trust_file)
        self.host = host = open_host(self.reactor, settings, **options)
        await listen_all(host, settings, self.log, "nodetrust-issue")
        self._trust = trust = TrustInForce(self.reactor, settings)
        trust.start()
        if settings.autotls is not None:
            self.broker = BrokerService(self.reactor, settings.autotls, settings, host, trust.lists)
            with within("autotls"):
                self.broker.listen()
        if settings.certificate_names:
            virtual_host = self.broker.virtual_host if self.broker is not None and settings.serves_broker else None
            self.own = OwnService(self.reactor, settings, host, virtual_host)
            await self.own.listen()
        self._pubsub = start_pubsub(host, self.reactor)
        relay(self._pubsub)
        self.store = store = await Store.open(self.reactor, settings.store_url)
        self.dns = dns = DnsServers(self.reactor, host, settings.dns_servers, settings.dns_confirmations)
        dns.start()
        self.orders = await Orders.open(self.reactor, settings, dns, store, host.peer_id)
        policy = policy_of(settings, host.peer_id, trust.trust)
        protocol = IssueProtocol(self.reactor, policy, settings.proof_servers, self.orders, store)
        trust.tell(protocol.replace_trust)
        host.handle_messages(ISSUE_INFO_PROTOCOL, protocol.inform, MAX_ISSUE_REQUEST_BYTES, REQUEST_SECONDS)
        host.handle_messages(ISSUE_PROTOCOL, protocol.issue, MAX_ISSUE_REQUEST_BYTES, REQUEST_SECONDS)
        if settings.checks:
            rules = CheckRules(settings.zone, settings.allow_private)
            self._checks = CheckProtocol(self.reactor, rules, trust.denied, options.get("trust_root"))
            self._checks.serve(host)
        if self.broker is not None:
            await self.broker.begin(store, dns, [] if self.own is None else self.own.https)
        if self.own is not None:
            self.own.begin(self.orders, store, dns)
        authorities = self.orders.tools.authorities
        work = (Windows(self.reactor, store, authorities).run(), *(authority.greet() for authority in authorities))
        self._besides = [Deferred.fromCoroutine(one).addErrback(self._log_bug) for one in work]

    async def stop(self) -> None:
        """Give up what is open while the DNS servers can still be told, then close connections, listeners and store."""
        if self._pubsub is not None:
            self._pubsub.stop()
        if self._trust is not None:
            self._trust.stop()
        for work in self._besides:
            work.cancel()
        if self.own is not None:
            await self.own.stop()
        if self.broker is not None:
            await self.broker.stop()
        if self.orders is not None:
            await self.orders.give_up()
        if self.dns is not None:
            await self.dns.stop()
        if self.host is not None:
            await self.host.stop()
        if self._checks is not None:
            await self._checks.stop()
        if self.orders is not None:
            await self.orders.close()
        if self.store is not None:
            await self.store.close()

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("what runs beside the orders has ended, which is a bug", failure=failure)


def policy_of(settings: IssueSettings, issuer: PeerId, trust: Trust) -> Policy:
    """Who gets which certificate, by the settings and what is in their files, from the issue server `issuer`."""
    return Policy(
        zone=settings.zone,
        issuer=issuer,
        trust=trust,
        cryptos=settings.crypto_numbers,
        names=settings.names,
        allow_private=settings.allow_private,
        require_nonce=settings.require_nonce,
    )
