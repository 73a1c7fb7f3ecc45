"""Whose word counts, over loopback: keys that are changed under load, quorum, blocks, and used proofs."""

import time
from ipaddress import ip_address
from pathlib import Path

from click.testing import CliRunner
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.names import client as dns_client

from nodetrust.client.errors import NoProofs
from nodetrust.client.obtain import obtain
from nodetrust.client.prove import prove
from nodetrust.command.deployment import LOOPBACK as LISTEN
from nodetrust.command.deployment import ZONE, full_addresses
from nodetrust.command.main import main
from nodetrust.dns.settings import DnsSettings
from nodetrust.issue.evidence import in_force
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists import files
from nodetrust.messages import E_INVALID_PROOF, E_NOT_AUTHORIZED, ECDSA_P256, OK, ProofWrapper
from nodetrust.proof import keys
from nodetrust.proof.service import ProofService
from nodetrust.proof.settings import ProofSettings
from tests.servers import LOOPBACK, LOOPBACK_NAME, Peer, Servers, ServersTestCase, reactor

POLL_SECONDS = 0.2
"""For tests; 5 seconds otherwise."""

WITHIN_SECONDS = 90.0
"""For what comes true in the end: on a machine that is slow and busy, too."""


class TrustingServers(Servers):
    """Two proof servers, and files of keys and of whom is denied; `quorum` may be set before the start."""

    quorum = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir()
        self.keys, self.deny = folder / "keys", folder / "deny"
        self.keys.write_text("")
        self.deny.write_text("")
        second = ProofSettings(state=folder / "second", listen=LISTEN, allow_private=True, deny=(self.deny,))
        self.second = ProofService(reactor, second)

    async def start_servers(self, step: object = lambda step: None) -> None:
        await self._run(self.second)
        await super().start_servers(step)

    def dns_settings(self, issuer: PeerId) -> DnsSettings:
        return replace(super().dns_settings(issuer), deny=(self.deny,))

    def proof_settings(self) -> ProofSettings:
        return replace(super().proof_settings(), deny=(self.deny,))

    def issue_settings(self) -> IssueSettings:
        settings = super().issue_settings()
        return replace(
            settings,
            proof_servers=(*settings.proof_servers, *full_addresses(self.second.host)),
            proof_keys=self.keys,
            deny=(self.deny,),
            quorum=self.quorum,
        )


class Load:
    """Peers that obtain proofs and certificates one after the other until they are told to stop."""

    def __init__(self, servers: Servers, peers: list[Peer], *known: PublicKey) -> None:
        self.servers = servers
        self.refused: list[str] = []
        self.served = 0
        self.known = list(known)
        self.signed: dict[PeerId, int] = {}
        self._stopped = False
        self._running = gatherResults([Deferred.fromCoroutine(self._run(peer)) for peer in peers], consumeErrors=True)

    async def stop(self) -> None:
        self._stopped = True
        await self._running

    async def _run(self, peer: Peer) -> None:
        while not self._stopped:
            proofs = await prove(peer.host, full_addresses(self.servers.issue.host), clock=reactor)
            for wrapper in proofs.wrappers:
                self._count(wrapper)
            response = await peer.ask(peer.request(proofs=proofs.wrappers))
            self.served += response.error == OK
            if response.error != OK:
                self.refused.append(response.message)

    def _count(self, wrapper: ProofWrapper) -> None:
        for key in self.known:
            if key.verify(wrapper.signature, wrapper.proof):
                self.signed[key.peer_id] = self.signed.get(key.peer_id, 0) + 1


class TrustCase(ServersTestCase):
    def setUp(self) -> None:
        self.patch(files, "POLL_SECONDS", POLL_SECONDS)
        self.patch(keys, "POLL_SECONDS", POLL_SECONDS)
        self.patch(in_force, "POLL_SECONDS", POLL_SECONDS)

    async def start_trusting(self, quorum: int = 1) -> TrustingServers:
        servers = TrustingServers(Path(self.mktemp()).absolute())
        servers.quorum = quorum
        self.addCleanup(lambda: Deferred.fromCoroutine(servers.stop()))
        await servers.start_servers()
        return servers

    async def pause(self, seconds: float) -> None:
        await deferLater(reactor, seconds)

    async def until(self, holds: object) -> None:
        """Return when an awaitable condition holds; it has `WITHIN_SECONDS`."""
        end = time.monotonic() + WITHIN_SECONDS
        while not await holds():
            self.assertLess(time.monotonic(), end, "it never came true")
            await self.pause(POLL_SECONDS / 2)


class RotationTests(TrustCase):
    async def test_a_key_is_changed_under_load(self) -> None:
        """No honest proof is refused while keys overlap and after; no proof of the old key is taken after the cut."""
        servers = await self.start_trusting()
        peers = [await self.connected_peer(servers) for _ in range(4)]
        thief = await self.connected_peer(servers)
        old = servers.proof.host.key
        load = Load(servers, peers, old.public_key)

        async def some_are_signed_with_the_old_key() -> bool:
            return load.signed.get(old.peer_id, 0) > 0

        await self.until(some_are_signed_with_the_old_key)
        before, after = self.rotate(servers)
        new = self.new_key(servers).public_key
        load.known.append(new)
        servers.keys.write_text(before)

        async def all_sign_with_the_new_key() -> bool:
            return load.signed.get(new.peer_id, 0) > 40

        await self.until(all_sign_with_the_new_key)
        self.assertEqual((await thief.ask(thief.request())).error, OK)
        servers.keys.write_text(after)

        async def is_cut_off() -> bool:
            return (await thief.ask(thief.request())).error == E_INVALID_PROOF

        await self.until(is_cut_off)
        served = load.served
        for _ in range(20):
            response = await thief.ask(thief.request())
            self.assertEqual(response.error, E_INVALID_PROOF)
            self.assertIn("not signed by a trusted", response.message)
        await self.pause(1)
        await load.stop()
        self.assertEqual(load.refused, [])
        self.assertGreater(load.served, served)

    def rotate(self, servers: Servers) -> tuple[str, str]:
        """The lines for issue servers before and after, as an operator reads them."""
        output = CliRunner().invoke(main, ["key", "rotate", str(servers.folder / "proof"), "--begin-in", "2s"]).output
        lines = [part.splitlines() for part in output.split("From ")]
        before, after = ["\n".join(line for line in part if line.startswith("12D3")) + "\n" for part in lines]
        return before, after

    def new_key(self, servers: Servers) -> PrivateKey:
        return keys.read_keys(servers.folder / "proof", PrivateKey.generate())[-1].key


class QuorumTests(TrustCase):
    async def test_two_servers_must_agree(self) -> None:
        """A client gets its certificate from both; one server, with however many keys, is not enough."""
        servers = await self.start_trusting(quorum=2)
        peer = await self.connected_peer(servers)
        issuer = full_addresses(servers.issue.host)
        obtained = await obtain(peer.host, issuer, peer.key, ECDSA_P256, clock=reactor)
        self.assertEqual(obtained.chain.names, {LOOPBACK_NAME, peer.own_name})
        response = await peer.ask(peer.request(proofs=[peer.proof(), peer.proof(now_ms=int(time.time() * 1000) - 5)]))
        self.assertEqual(response.error, E_INVALID_PROOF)
        self.assertIn("1 of 2 for 127.0.0.1", response.message)
        await servers.second.stop()
        obtaining = Deferred.fromCoroutine(obtain(peer.host, issuer, peer.key, ECDSA_P256, clock=reactor))
        error = await self.assertFailure(obtaining, NoProofs)
        self.assertIn("1 of 2 for 127.0.0.1", str(error))


class BlockTests(TrustCase):
    async def test_a_block_is_in_force_everywhere_without_a_restart(self) -> None:
        """A denied peer gets no proof and no certificate, a denied address no record; until its line is gone."""
        servers = await self.start_trusting()
        peer, other = await self.connected_peer(servers), await self.connected_peer(servers)
        issuer = full_addresses(servers.issue.host)
        await prove(peer.host, issuer, clock=reactor)
        self.assertTrue(await self.resolves(servers, f"ip41-2-3-4.{ZONE}"))
        servers.deny.write_text(f"1.2.3.0/24 ; spam\n{peer.peer_id} # phishing\n")

        async def is_blocked() -> bool:
            response = await peer.ask(peer.request())
            return response.error == E_NOT_AUTHORIZED and not await self.resolves(servers, f"ip41-2-3-4.{ZONE}")

        refusals: list[NoProofs] = []

        async def is_not_proven() -> bool:
            # Each proof server has looked at its list at another moment.
            try:
                await prove(peer.host, issuer, clock=reactor)
            except NoProofs as refusal:
                refusals.append(refusal)
            return bool(refusals)

        await self.until(is_blocked)
        await self.until(is_not_proven)
        self.assertIn("denylist", str(refusals[0]))
        self.assertEqual((await other.ask(other.request())).error, OK)
        servers.deny.write_text("127.0.0.0/8\n")

        async def are_others_blocked() -> bool:
            return (await other.ask(other.request())).error == E_NOT_AUTHORIZED

        await self.until(are_others_blocked)
        servers.deny.write_text("")

        async def is_served() -> bool:
            return (await peer.ask(peer.request())).error == OK

        await self.until(is_served)

    async def resolves(self, servers: Servers, name: str) -> bool:
        resolver = dns_client.Resolver(servers=[(servers.dns_place.host, servers.dns_place.port)], reactor=reactor)
        answers, _, _ = await resolver.lookupAddress(name)
        return bool(answers)


class UsedProofTests(TrustCase):
    async def test_each_proof_once(self) -> None:
        """Across a restart, too; another proof of the same address is another one."""
        servers = await self.start_trusting()
        peer = await self.connected_peer(servers)
        used = [peer.proof(LOOPBACK)]
        self.assertEqual((await peer.ask(peer.request(proofs=used))).error, OK)
        for _ in range(2):
            response = await peer.ask(peer.request(proofs=used))
            self.assertEqual(response.error, E_INVALID_PROOF)
            self.assertIn("used before", response.message)
            await servers.issue.stop()
            servers.issue = type(servers.issue)(reactor, servers.issue.settings)
            await servers.issue.start()
            servers._started.append(servers.issue)
            await peer.connect()
        self.assertEqual((await peer.ask(peer.request(proofs=[peer.proof(ip_address("127.0.0.1"))]))).error, OK)
