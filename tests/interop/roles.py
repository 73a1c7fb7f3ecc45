"""The four roles on loopback, with Pebble as the CA: what the end-to-end tests stand on."""

import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor

from nodetrust.certificates import make_key
from nodetrust.client.client import Client
from nodetrust.client.obtain import Obtained, obtain_with
from nodetrust.client.prove import Proofs
from nodetrust.client.settings import ClientSettings
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.issue.service import IssueService
from nodetrust.issue.settings import IssueSettings
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import ECDSA_P256
from nodetrust.names import certificate_names
from nodetrust.proof.service import ProofService
from nodetrust.proof.settings import ProofSettings
from nodetrust.proofs import make_proof
from nodetrust.service import KEY_FILE
from nodetrust.settings import HostPort, ZoneName
from tests.interop.pebble import Pebble

ZONE = "nodetrust.test"
LOOPBACK = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),)
SECURE_WEB_SOCKET = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0/tls/ws"),)
PROOF_SERVERS = 2
MANY = 1000


class Asker:
    """A peer that asks an issue server for a certificate, with proofs that it makes with a proof server's own key.

    So that a test can have hundreds of peers, each at addresses of its own. `names` are those that it asks for.
    """

    def __init__(self, issuer: Sequence[Multiaddr], proof_key: PrivateKey, *addresses: str) -> None:
        reactor: Any = default_reactor
        self.host = Host(reactor, PrivateKey.generate())
        self.issuer = issuer
        self.addresses = tuple(IPv4Address(address) for address in addresses)
        self.names = certificate_names(self.host.peer_id, self.addresses, ZONE, "addresses")
        self._key = make_key(ECDSA_P256)
        self._proof_key = proof_key
        self._proof_ms = 0

    def change_key(self) -> None:
        """Ask for another key's certificate from now on."""
        self._key = make_key(ECDSA_P256)

    async def ask(self) -> Obtained:
        """A certificate for all names, for the same key until `change_key`; raises `ObtainError`."""
        self._proof_ms = max(self._proof_ms + 1, time.time_ns() // 1_000_000)  # no two proofs are the same
        wrapper = make_proof(self._proof_key, self.host.peer_id, self.addresses, self._proof_ms)
        proofs = Proofs(ZONE, frozenset(), (wrapper,), self.addresses)
        return await obtain_with(proofs, self.host, self.issuer, self._key, ECDSA_P256)


class Roles:
    """Starts Pebble, the servers and clients, each with a folder of its own under `folder`; `stop` ends all of them."""

    def __init__(self, pebble_program: Path, folder: Path) -> None:
        self.folder = folder.absolute()
        self.pebble = Pebble()
        self.dns: DnsService
        self.proofs: list[ProofService] = []
        self.issue: IssueService
        self._pebble_program = pebble_program
        self._reactor: Any = default_reactor
        self._started: list[Any] = []

    async def start_servers(self, *, bad_nonce_percent: int | None = None, **issue_settings: Any) -> None:
        """DNS, Pebble (5 % of whose nonces are bad by default), the proof servers, and the issue server."""
        await self.start_surroundings(bad_nonce_percent=bad_nonce_percent)
        self.issue = await self.start_issue(**issue_settings)

    async def start_surroundings(
        self,
        *,
        bad_nonce_percent: int | None = None,
        pebble_environment: Mapping[str, str] | None = None,
        pebble_settings: Mapping[str, Any] | None = None,
        issuers: Sequence[str] = ("issue",),
    ) -> None:
        """All but the issue servers, which have their state in folders called as in `issuers`."""
        self.dns = await self._run(DnsService(self._reactor, self._dns_settings(issuers)))
        self._started.append(self.pebble)
        await self.pebble.start(
            self._pebble_program,
            self.folder / "pebble",
            str(self.name_server),
            bad_nonce_percent=bad_nonce_percent,
            environment=pebble_environment,
            settings=pebble_settings,
        )
        self.root_file.write_bytes(self.pebble.root_pem)
        for number in range(PROOF_SERVERS):
            settings = ProofSettings(
                state=self._folder(f"proof-{number}"), listen=LOOPBACK, allow_private=True, trust_file=self.root_file
            )
            self.proofs.append(await self._run(ProofService(self._reactor, settings)))

    async def start_issue(self, folder: str = "issue", **settings: Any) -> IssueService:
        """An issue server, which the DNS server must have been told of."""
        issue: IssueService = await self._run(IssueService(self._reactor, self.issue_settings(folder, **settings)))
        return issue

    async def start_client(self, name: str = "client", **settings: Any) -> Client:
        """A client that announces itself every second; its `certificate` has yet to come."""
        defaults: dict[str, Any] = {
            "state": self._folder(name),
            "listen": LOOPBACK,
            "wss_listen": SECURE_WEB_SOCKET,
            "issuer": full_addresses(self.issue.host),
            "announce_seconds": 1.0,
            "allow_private": True,
            "map_ports": False,
            "nameserver": self.name_server,
            "trust_file": self.root_file,
        }
        client: Client = await self._run(Client(self._reactor, ClientSettings(**{**defaults, **settings})))
        return client

    def asker(self, *addresses: str, issue: IssueService | None = None) -> Asker:
        """A peer that was seen at these addresses, and asks `issue`, else the one issue server."""
        asker = Asker(full_addresses((issue or self.issue).host), self.proof_key, *addresses or ("127.0.0.1",))
        self._started.append(asker.host)
        return asker

    async def stop(self) -> None:
        """Stop what was started, last first."""
        while self._started:
            await self._started.pop().stop()

    @property
    def proof_key(self) -> PrivateKey:
        """The key of a proof server that is trusted."""
        proof = self.proofs[0].host
        assert proof is not None
        return proof.key

    @property
    def name_server(self) -> HostPort:
        """Where our DNS server answers."""
        return HostPort.parse(self.dns.places[0])

    @property
    def root_file(self) -> Path:
        """The root that Pebble signs from."""
        return self.folder / "pebble" / "signing-root.pem"

    async def _run(self, role: Any) -> Any:
        self._started.append(role)
        await role.start()
        return role

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _dns_settings(self, issuers: Sequence[str]) -> DnsSettings:
        return DnsSettings(
            zone=ZoneName(ZONE),
            state=self._folder("dns"),
            listen=LOOPBACK,
            listen_dns=(HostPort("127.0.0.1", 0),),
            max_tcp_per_client=MANY,  # Pebble asks for each name over three connections at once
            admins=tuple(load_or_create(self._folder(name) / KEY_FILE).peer_id for name in issuers),
        )

    def issue_settings(self, folder: str = "issue", **settings: Any) -> IssueSettings:
        """The settings of the issue server whose state is in `folder`."""
        defaults: dict[str, Any] = {
            "zone": ZoneName(ZONE),
            "state": self._folder(folder),
            "listen": LOOPBACK,
            "proof_servers": tuple(address for proof in self.proofs for address in full_addresses(proof.host)),
            "dns_servers": full_addresses(self.dns.host),
            "acme_directory": self.pebble.directory,
            "acme_ca_file": self.pebble.https_root,
            "acme_profile": "default",
            "agree_to_terms": True,
            "allow_private": True,
            "trust_file": self.root_file,
        }
        return IssueSettings(**{**defaults, **settings})


def full_addresses(host: Host | None) -> tuple[Multiaddr, ...]:
    """Where a started role listens, with its /p2p."""
    assert host is not None
    return tuple(address.with_peer_id(host.peer_id) for address in host.addresses())
