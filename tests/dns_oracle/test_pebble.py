"""Pebble, Let's Encrypt's test CA, validates dns-01 through our server: directly and through Unbound, UDP and TCP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dns.message
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from nodetrust.acme import AcmeClient, AcmeValidationFailed, Deadline, Dns01Record, generate_account_key, obtain
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import DNS01_PROTOCOL, MAX_DNS01_RESPONSE_BYTES, OK, DNS01Request, DNS01Response
from nodetrust.settings import HostPort, ZoneName
from tests.debian import find
from tests.dns.example import PEER_LABEL
from tests.dns_oracle.names import CID
from tests.dns_oracle.servers import ZONE, ZONE_NAME, free_port, short_folder, spawn
from tests.dns_oracle.toolchain import require
from tests.interop.harness import InteropTestCase
from tests.interop.pebble import Pebble

REACTOR: Any = reactor
NAMES = tuple(
    f"{name}.{ZONE_NAME}"
    for name in (
        "ip41-2-3-4",
        "ip62001-db8--1",
        f"ip4198-51-100-7.{PEER_LABEL}",
        PEER_LABEL,
        f"*.{PEER_LABEL}",
        f"*.{CID}",
    )
)
ORDER_SECONDS = 60
LOOPBACK = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),)


def csr(names: Sequence[str]) -> bytes:
    """DER of a CSR for these names, with a key of its own."""
    names_of = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names_of, False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


class PebbleTests(InteropTestCase):
    """One order for every form of name, with our server behind different ways to look."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = short_folder(self)

    async def serve(self) -> int:
        """Start our server and the peer that may set challenges; the port of DNS."""
        self.issuer = Host(REACTOR, PrivateKey.generate())
        self.addCleanup(self.issuer.stop)
        zone_file = self.folder / "zone"
        zone_file.write_text(ZONE.replace("letsencrypt.org", "pebble.letsencrypt.org"))
        settings = DnsSettings(
            zone=ZoneName(ZONE_NAME),
            zone_file=zone_file,
            state=self.folder / "state",
            listen=LOOPBACK,
            listen_dns=(HostPort("127.0.0.1", 0),),
            admins=(self.issuer.peer_id,),
        )
        self.service = service = DnsService(REACTOR, settings)
        self.addCleanup(lambda: Deferred.fromCoroutine(service.stop()))
        await service.start()
        return HostPort.parse(service.places[0]).port

    async def resolve_through_unbound(self, port: int, *, tcp: bool) -> int:
        """Start Unbound, which asks our server over the one or the other; its port."""
        require("unbound")
        own_port = free_port()
        file = self.folder / "unbound.conf"
        file.write_text(f"""
server:
  interface: 127.0.0.1@{own_port}
  directory: "{self.folder}"
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  num-threads: 1
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "iterator"
  use-caps-for-id: yes
  qname-minimisation-strict: yes
  tcp-upstream: {"yes" if tcp else "no"}
stub-zone:
  name: "{ZONE_NAME}"
  stub-addr: 127.0.0.1@{port}
""")
        program = find("unbound")
        assert program is not None
        unbound = spawn("unbound", [program, "-d", "-c", file], self.folder, own_port)
        self.addCleanup(unbound.stop)
        await deferToThread(unbound.wait_until_ready, dns.message.make_query(ZONE_NAME, "SOA").to_wire())
        return own_port

    async def change(self, records: Sequence[Dns01Record], *, remove: bool) -> None:
        """Have our server add or remove challenges, over libp2p."""
        server = self.service.host
        assert server is not None
        await self.issuer.connect(server.addresses(), server.peer_id)
        stream = await self.issuer.open_messages(server.peer_id, [DNS01_PROTOCOL], MAX_DNS01_RESPONSE_BYTES, 10.0)
        for record in records:
            stream.write(DNS01Request(fqdn=record.fqdn, value=record.value, remove=remove).SerializeToString())
            self.assertEqual(DNS01Response.FromString(await stream.read()).error, OK)
        stream.close()

    async def order(self, program: Path, dns_port: int, profile: str | None, *, publish: bool = True) -> set[str]:
        """The names of a certificate from a new Pebble that looks names up at `dns_port`."""
        pebble = Pebble()
        self.addCleanup(lambda: Deferred.fromCoroutine(pebble.stop()))
        await pebble.start(program, self.folder / "pebble", f"127.0.0.1:{dns_port}")
        root = pebble.https_root.read_bytes()
        client = AcmeClient(REACTOR, pebble.directory, generate_account_key(), trust_root_pem=root)
        self.addCleanup(lambda: Deferred.fromCoroutine(client.close()))
        await client.register(Deadline(REACTOR, ORDER_SECONDS))

        async def add(records: Sequence[Dns01Record]) -> None:
            if publish:
                await self.change(records, remove=False)

        async def remove(records: Sequence[Dns01Record]) -> None:
            await self.change(records, remove=True)

        issued = await obtain(client, NAMES, csr(NAMES), add, remove, profile=profile, timeout_seconds=ORDER_SECONDS)
        return set(issued.names)

    async def test_direct_tcp(self) -> None:
        """This Pebble asks over TCP alone."""
        port = await self.serve()
        self.assertEqual(await self.order(self.tools.pebble, port, "default"), set(NAMES))

    async def test_direct_udp(self) -> None:
        """Debian's Pebble, which is older, asks over UDP."""
        require("pebble")
        program = find("pebble")
        assert program is not None
        port = await self.serve()
        self.assertEqual(await self.order(program, port, None), set(NAMES))

    async def test_through_unbound(self) -> None:
        """A resolver that mixes case and asks label by label stands in between, and asks over UDP."""
        resolver = await self.resolve_through_unbound(await self.serve(), tcp=False)
        self.assertEqual(await self.order(self.tools.pebble, resolver, "default"), set(NAMES))

    async def test_through_unbound_over_tcp(self) -> None:
        """The same over TCP."""
        resolver = await self.resolve_through_unbound(await self.serve(), tcp=True)
        self.assertEqual(await self.order(self.tools.pebble, resolver, "default"), set(NAMES))

    async def test_nothing_published(self) -> None:
        """Without the values the CA refuses: it did look."""
        port = await self.serve()
        with self.assertRaises(AcmeValidationFailed):
            await self.order(self.tools.pebble, port, "default", publish=False)
