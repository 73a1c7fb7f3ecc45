"""dns-persist-01 with Pebble: our DNS server answers for the account, and no challenge is ever set."""

from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred

from nodetrust.acme.persist import persist_value
from nodetrust.client.errors import Refused
from nodetrust.dns.service import DnsService
from nodetrust.issue.settings import CaSettings
from tests.interop.test_end_to_end import PebbleTestCase

reactor: Any = default_reactor

PEBBLE_ISSUER = "pebble.letsencrypt.org"


class PersistTests(PebbleTestCase):
    """The operator puts the account into the DNS server's settings, and takes away its admins."""

    async def test_no_challenge_is_set(self) -> None:
        """Names of addresses, of peers and wildcards are signed; for another account's record they are not."""
        roles: Any = await self.start_roles()
        await roles.asker("127.0.0.1").ask()
        (authority,) = roles.issue.orders.tools.authorities
        account = authority.client.account_url
        await self.restart_issue(roles)
        await self.restart_dns(roles, persist_value(PEBBLE_ISSUER, f"{account}0"))
        with self.assertRaises(Refused):
            await roles.asker("127.0.0.2").ask()
        await self.restart_dns(
            roles, persist_value("other.example", f"{account}0"), persist_value(PEBBLE_ISSUER, account)
        )
        asker = roles.asker("127.0.0.3", "127.0.0.4")
        self.check_chain(roles, (await asker.ask()).chain.full_pem, set(asker.names))
        obtained = await self.ask_for_wildcard(roles)
        self.assertTrue(any(name.startswith("*.") for name in obtained.chain.names))
        counters = roles.dns._answering.responder.counters
        self.assertEqual((counters.challenges_added, counters.challenges_refused), (0, 0))

    async def ask_for_wildcard(self, roles: Any) -> Any:
        """A client whose certificate is for everything below its peer's name."""
        client = await roles.start_client(names="peer")
        return await client.certificate()

    async def restart_issue(self, roles: Any) -> None:
        """With the same account, for dns-persist-01."""
        await roles.issue.stop()
        ca = CaSettings(
            directory=roles.pebble.directory,
            root_file=roles.pebble.https_root,
            profile="default",
            challenge="dns-persist-01",
        )
        roles.issue = await roles.start_issue(ca=(ca,), names="both")

    async def restart_dns(self, roles: Any, *values: str) -> None:
        """On the same port, without admins."""
        place = roles.name_server
        settings = replace(roles.dns.settings, listen_dns=(place,), admins=(), persist=values)
        await roles.dns.stop()
        roles.dns = DnsService(reactor, settings)
        dns: DnsService = roles.dns
        self.addCleanup(lambda: Deferred.fromCoroutine(dns.stop()))
        await dns.start()
