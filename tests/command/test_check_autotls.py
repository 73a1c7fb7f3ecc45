"""`nodetrust check --autotls` before our broker, our DNS server and the development CA."""

import json
from typing import Any

from twisted.names import dns
from twisted.names.error import ResolverError

from nodetrust.client.client import Client
from nodetrust.client.diagnosis.steps import Area
from nodetrust.command.deployment import ZONE, full_addresses
from nodetrust.libp2p.autonat import DIAL_REQUEST
from nodetrust.libp2p.autonat.wire import MAX_MESSAGE_BYTES
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import autonat_pb2 as pb
from nodetrust.names import autotls_wildcard
from nodetrust.service import dial_options, load_identity
from nodetrust.settings import HostPort
from tests.autotls_servers import REGISTRATION, AutoTlsServers, AutoTlsTestCase, reactor
from tests.command.test_check import CheckTestCase
from tests.test_processes import NODETRUST

PATH = [area.name.lower() for area in Area if area not in (Area.ISSUER, Area.PROOFS)]
NOBODY = object()
LOOPBACK = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")


class AutoTlsCheckTestCase(AutoTlsTestCase, CheckTestCase):
    """Runs the command against servers on loopback; the resolver knows where the zone's name server is."""

    def options(self, servers: AutoTlsServers, changes: dict[str, Any]) -> list[Any]:
        """Those that lead to the servers; what is None is left out."""
        given = {
            "broker": servers.broker_url,
            "domain": ZONE,
            "acme-directory": servers.acme_directory,
            "trust-file": servers.ca.root_pem_path,
            "nameserver": self.resolver(servers, {}),
            "dns-port": servers.dns_place.port,
            "state": servers.folder / "client",
            **{key.replace("_", "-"): value for key, value in changes.items()},
        }
        return [part for key, value in given.items() if value is not None for part in (f"--{key}", value)]

    def resolver(self, servers: AutoTlsServers, said: Any) -> HostPort:
        """It says that, and for the rest what the zone's name server says."""
        delegation: Any = {
            (ZONE, dns.NS): [dns.Record_NS(f"ns.{ZONE}", 3600)],
            (f"ns.{ZONE}", dns.A): [dns.Record_A("127.0.0.1", 3600)],
        }
        return self.stub({**delegation, **said}, servers.dns_place)

    async def walk(self, servers: AutoTlsServers, *arguments: Any, **changes: Any) -> tuple[dict[str, Any], int]:
        """The document and the exit status; nothing is on stderr."""
        options = self.options(servers, changes)
        out, err, status = await self.run_to_end(*NODETRUST, "check", "--autotls", "--json", *options, *arguments)
        self.assertEqual(err, "")
        document = json.loads(out)
        self.assertEqual(document["status"], status)
        return document, status

    def step(self, document: dict[str, Any], title: str) -> dict[str, Any]:
        """The one step whose title begins so."""
        found = [step for step in document["steps"] if step["title"].startswith(title)]
        self.assertEqual(len(found), 1, document["steps"])
        return found[0]

    def found(self, document: dict[str, Any], title: str) -> tuple[str, str]:
        """Its outcome, and what was found."""
        step = self.step(document, title)
        return step["outcome"], step["found"]

    async def certified(self, servers: AutoTlsServers) -> Client:
        """A client that is announced, and no challenge of which is set any more."""
        client = await self.client(servers)
        await client.announced()
        await self.until_set(servers, client.peer_id, is_set=False)
        return client


class WellTests(AutoTlsCheckTestCase):
    async def test_all_is_well(self) -> None:
        """With a client that runs: every step is right, and its WSS address is met in both forms. Nothing changes."""
        servers = await self.start_all()
        client = await self.certified(servers)
        state = servers.folder / "client"
        before = {file: file.stat().st_mtime_ns for file in state.iterdir()}
        port = client.addresses[0].get("tcp")
        document, status = await self.walk(servers, *full_addresses(servers.issue.host), wss=f"127.0.0.1:{port}")
        outcomes = {(step["area"], step["outcome"]) for step in document["steps"]}
        self.assertEqual((status, outcomes), (0, {(area, "ok") for area in PATH}), document["steps"])
        self.assertEqual(document["peer"], str(client.peer_id))
        self.assertEqual((document["zones"], document["addresses"]), ([ZONE], ["127.0.0.1"]))
        for title in (f"WSS on 127.0.0.1:{port}", f"WSS on 127.0.0.1:{port}, by address"):
            self.assertIn(title, [step["title"] for step in document["steps"]])
        self.assertIn("it met this peer at /ip4/127.0.0.1/tcp/", self.step(document, "dial-back")["found"])
        name = autotls_wildcard(client.peer_id, ZONE).replace("*", "127-0-0-1")
        self.assertEqual(self.step(document, "name of 127.0.0.1")["facts"]["name"], name)
        self.assertEqual({file: file.stat().st_mtime_ns for file in state.iterdir()}, before)

    async def test_without_a_key(self) -> None:
        """A peer is made up, no folder is made, and what needs the key is not looked at; a step is one line."""
        servers = await self.start_all()
        folder = servers.folder / "nobody"
        options = self.options(servers, {"state": folder, "wss": "127.0.0.1:4443"})
        out, err, status = await self.run_to_end(*NODETRUST, "check", "--autotls", *options)
        self.assertEqual((status, err, folder.exists()), (0, "", False), out)
        lines = out.splitlines()
        self.assertTrue(all(line[:6] in ("ok    ", "skip  ") for line in lines), out)
        self.assertIn("made up for this check", lines[0])
        self.assertIn("it knows this peer by its key", out)
        self.assertIn("skip  Certificate authority: account at 127.0.0.1", out)
        self.assertIn("give the client's folder with --state", lines[-1])


class BrokerTests(AutoTlsCheckTestCase):
    async def test_brokers_that_are_down(self) -> None:
        """3 only where none is well."""
        servers = await self.start_all()
        nowhere = f"https://{REGISTRATION}:{self.unused_port()}"
        document, status = await self.walk(servers, broker=nowhere)
        self.assertEqual(status, 3)
        self.assert_fails(document, "broker", "Connection was refused", "the broker runs")
        self.assertEqual(len([one for one in document["steps"] if one["area"] == "broker"]), 1)
        document, status = await self.walk(servers, "--broker", servers.broker_url, broker=nowhere)
        self.assertEqual(status, 1)
        self.assertEqual(self.found(document, f"authentication with {servers.broker_url[8:]}")[0], "ok")

    async def test_a_certificate_that_is_not_trusted(self) -> None:
        """Of a root that nobody knows, and for another name: what is shown is said."""
        servers = await self.start_all()
        document, status = await self.walk(servers, trust_file=None)
        self.assertEqual(status, 3)
        self.assert_fails(document, "broker", "no TLS certificate that is trusted here", "see below")
        self.assert_fails(document, "broker", "whom nothing here trusts", "--trust-file")
        self.assert_fails(document, "ca", "no TLS certificate that we trust", "--acme-directory")
        place = servers.broker.https[0].place
        document, status = await self.walk(servers, broker=f"https://{place}")
        self.assertEqual(status, 3)
        self.assert_fails(document, "broker", f"it is for {REGISTRATION}, and not for 127.0.0.1", "broker's own name")

    async def test_a_broker_that_did_not_meet_the_peer(self) -> None:
        """It tells what it has tried, and so do we."""
        servers = await self.start_all()
        place = f"/ip4/127.0.0.1/tcp/{self.unused_port()}"
        nowhere = (Multiaddr.parse("/ip6/::1/tcp/0"),)
        servers.changes["client"] = {"announce": (Multiaddr.parse(place),), "listen": nowhere}
        client = await self.client(servers)
        await self.assertFailure(client.certificate(), Exception)
        document, status = await self.walk(servers)
        outcome, found = self.found(document, "dial-back")
        self.assertEqual((status, outcome), (0, "warn"), document["steps"])
        self.assertIn(place, found)


class ChallengeTests(AutoTlsCheckTestCase):
    async def test_while_an_order_is_under_way(self) -> None:
        """The value is at the broker and in the DNS; a name server that has it not makes the CA look in vain."""
        servers = await self.start_all()
        servers.look_for_ever()
        client = await self.client(servers)
        await self.until_set(servers, client.peer_id, is_set=True)
        document, status = await self.walk(servers)
        self.assertEqual(status, 0, document["steps"])
        self.assertIn("1 value set until", self.found(document, "challenges at")[1])
        for title in ("challenge, by the resolver", "challenge"):
            (step,) = (one for one in document["steps"] if one["title"] == title)
            self.assertEqual((step["outcome"], step["found"]), ("ok", "1 value set"))
        name = autotls_wildcard(client.peer_id, ZONE).replace("*", "_acme-challenge")
        lost = self.resolver(servers, {(name, dns.TXT): [dns.Record_TXT(b"not set yet", ttl=10)]})
        document, status = await self.walk(servers, dns_port=lost.port)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "but no name server answers with it", "reaches the zone's DNS servers")

    async def test_an_answer_that_resolvers_remember(self) -> None:
        """No record at all where none is set, and one with a long TTL; a resolver that fails."""
        servers = await self.start_all()
        peer = load_identity(servers.folder / "client").peer_id
        name = autotls_wildcard(peer, ZONE).replace("*", "_acme-challenge")
        for said, words in (
            ([], "has no TXT record there (no data)"),
            ([dns.Record_TXT(b"not set yet", ttl=3600)], "may keep the answer of"),
        ):
            place = self.resolver(servers, {(name, dns.TXT): said})
            document, status = await self.walk(servers, dns_port=place.port)
            (step,) = (one for one in document["steps"] if one["title"] == "challenge")
            self.assertEqual((status, step["outcome"]), (0, "warn"), document["steps"])
            self.assertIn(words, step["found"])
        failing = self.resolver(servers, {(name, dns.TXT): "SERVFAIL"})
        document, status = await self.walk(servers, nameserver=failing)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "it says SERVFAIL", "--nameserver")
        self.assertTrue(self.flushLoggedErrors(ResolverError))


class OutsideTests(AutoTlsCheckTestCase):
    async def autonat_server(self, servers: AutoTlsServers) -> Multiaddr:
        """A peer that dials whatever it is asked to."""
        options = dial_options(reactor, servers.dns_place, servers.ca.root_pem_path)
        server = Host(reactor, PrivateKey.generate())
        self.addCleanup(server.stop)
        there = (await server.listen(LOOPBACK)).with_peer_id(server.peer_id)

        async def serve(stream: MessageStream) -> None:
            request = pb.Message.FromString(await stream.read()).dialRequest
            (address,) = map(Multiaddr.from_bytes, request.addrs)
            dialler = Host(reactor, PrivateKey.generate(), **options)
            peer = load_identity(servers.folder / "client").peer_id
            try:
                await dialler.connect([address.with_peer_id(peer)])
                outcome = pb.E_DIAL_BACK_ERROR
            except Libp2pError:
                outcome = pb.E_DIAL_ERROR
            finally:
                await dialler.stop()
            answer = pb.DialResponse(status=pb.DialResponse.OK, dialStatus=outcome)
            stream.write(pb.Message(dialResponse=answer).SerializeToString())

        server.handle_messages(DIAL_REQUEST, serve, MAX_MESSAGE_BYTES, 20.0)
        return there

    async def test_closed(self) -> None:
        """The server that has tried it says so, in both forms."""
        servers = await self.start_all()
        load_identity(servers.folder / "client")
        port = self.unused_port()
        document, status = await self.walk(servers, *full_addresses(servers.issue.host), wss=f"127.0.0.1:{port}")
        self.assertEqual(status, 7)
        failed = [one for one in document["steps"] if (one["area"], one["outcome"]) == ("outside", "fail")]
        self.assertEqual(len(failed), 2)
        self.assert_fails(document, "outside", "has dialled it in vain", f"127.0.0.1:{port} refuses connections")

    async def test_peers(self) -> None:
        """Those that speak AutoNAT have dialled the client, and an address where nobody is."""
        servers = await self.start_all()
        client = await self.certified(servers)
        port, closed = client.addresses[0].get("tcp"), self.unused_port()
        peers = [part for _ in range(2) for part in ("--bootstrap", await self.autonat_server(servers))]
        document, status = await self.walk(
            servers, *peers, "--announce", f"/ip4/127.0.0.1/tcp/{closed}", wss=f"127.0.0.1:{port}"
        )
        self.assertEqual(status, 7)
        outcome, found = self.found(document, f"WSS on 127.0.0.1:{port}, by address (AutoNAT)")
        self.assertEqual((outcome, "and met this peer" in found), ("ok", True), found)
        self.assertEqual(
            self.found(document, f"libp2p on 127.0.0.1:{closed} (AutoNAT)"), ("fail", "2 peers have dialled it in vain")
        )

    async def test_nobody_to_ask(self) -> None:
        """Neither an issue server nor a peer, or peers that are not there."""
        servers = await self.start_all()
        await self.certified(servers)
        document, status = await self.walk(servers, wss="127.0.0.1:4443")
        self.assertEqual(status, 0)
        self.assertIn("peers that speak AutoNAT with --bootstrap", self.only(document, "outside", "skip")["found"])
        nowhere = f"/ip4/127.0.0.1/tcp/{self.unused_port()}/p2p/{PrivateKey.generate().peer_id}"
        document, status = await self.walk(servers, bootstrap=nowhere, wss="127.0.0.1:4443")
        self.assertIn("none of the peers of --bootstrap", self.only(document, "outside", "skip")["found"])


class CommandTests(AutoTlsCheckTestCase):
    async def test_usage(self) -> None:
        """A broker without TLS, and an account that cannot be read, which is a step like others."""
        _, err, status = await self.run_to_end(
            *NODETRUST, "check", "--autotls", "--broker", "http://registration.example", "--state", "/nonexistent"
        )
        self.assertEqual((status, "expected an https URL" in err), (2, True), err)
        servers = await self.start_all()
        client = await self.certified(servers)
        await client.stop()
        (file,) = (servers.folder / "client").glob("acme-account-*.json")
        file.write_text("babble")
        document, status = await self.walk(servers)
        self.assertEqual(status, 1)
        self.assert_fails(document, "ca", "expected the key and the URL of an ACME account", "move the account's file")
