"""`nodetrust check` before real servers: each thing that can be wrong, its sentence and the exit status."""

import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.names import dns

from nodetrust.client.diagnosis.steps import Area, Outcome, Step
from nodetrust.client.diagnosis.walked import Walked
from nodetrust.command.check import exit_status
from nodetrust.command.deployment import LOOPBACK, ZONE, full_addresses
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.proof.service import ProofService
from nodetrust.proof.settings import ProofSettings
from nodetrust.service import load_identity
from nodetrust.settings import HostPort
from nodetrust.testing.ca import CASettings
from tests.servers import LOOPBACK as LOOPBACK_IP
from tests.servers import LOOPBACK_NAME, Servers, reactor
from tests.stub_dns import NO_SUCH_NAME, StubDns
from tests.test_processes import NODETRUST, ProcessTestCase

CA = "letsencrypt.org; validationmethods=dns-01"
LOOK_AGAIN_SECONDS = 0.02


class CheckTestCase(ProcessTestCase):
    """Runs the command against servers on loopback, whose DNS server is the resolver, too, if nothing else is said."""

    async def checked(
        self, servers: Servers, *options: Any, issuer: Any = None, dns_at: HostPort | None = None
    ) -> tuple[dict[str, Any], int]:
        """The document and the exit status; nothing is on stderr."""
        defaults = {
            "--nameserver": dns_at or servers.dns_place,
            "--dns-port": servers.dns_place.port,
            "--state": servers.folder / "nobody",
        }
        given = (part for default in defaults.items() if default[0] not in options for part in default)
        out, err, status = await self.run_to_end(
            *NODETRUST, "check", "--json", issuer or full_addresses(servers.issue.host)[0], *given, *options
        )
        self.assertEqual(err, "")
        document = json.loads(out)
        self.assertEqual(document["status"], status)
        return document, status

    def only(self, document: dict[str, Any], area: str, outcome: str) -> dict[str, Any]:
        """The one step of an area that ended so."""
        found = [step for step in document["steps"] if (step["area"], step["outcome"]) == (area, outcome)]
        self.assertEqual(len(found), 1, document["steps"])
        return found[0]

    def assert_fails(self, document: dict[str, Any], area: str, found: str, advice: str) -> None:
        """A step of the area has failed with these words, and says what to do with those."""
        failed = [step for step in document["steps"] if (step["area"], step["outcome"]) == (area, "fail")]
        self.assertTrue(any(found in step["found"] and advice in step["advice"] for step in failed), document["steps"])

    def stub(self, said: Any, behind: HostPort | None, *, tcp: bool = True) -> HostPort:
        """A DNS server beside the real one."""
        stub = StubDns(reactor, said, behind)
        self.addCleanup(lambda: Deferred.fromCoroutine(stub.stop()))
        return stub.start(tcp=tcp)


class WellTests(CheckTestCase):
    async def test_all_is_well(self) -> None:
        """With a client that runs: every step is right, and its WSS address is met from outside."""
        servers = await self.start(dns={"caa": (CA,)})
        await servers.start_client(lambda step: None)
        state = servers.client.settings.state
        port = (await servers.client.announced())[0].get("tcp")
        document, status = await self.checked(servers, "--state", state, "--wss", f"127.0.0.1:{port}")
        outcomes = {(step["area"], step["outcome"]) for step in document["steps"]}
        areas = [area.name.lower() for area in Area if area not in (Area.BROKER, Area.CA)]
        self.assertEqual((status, outcomes), (0, {(area, "ok") for area in areas}), document["steps"])
        self.assertEqual(document["peer"], str(load_identity(state).peer_id))
        self.assertEqual((document["zones"], document["addresses"]), ([ZONE], ["127.0.0.1"]))
        (caa,) = (step for step in document["steps"] if step["area"] == "caa")
        self.assertEqual(caa["found"], "only letsencrypt.org (by dns-01) may sign")

    async def test_without_a_key(self) -> None:
        """A peer is made up, no folder is made, and what needs the key is not looked at; a step is one line."""
        servers = await self.start(dns={"caa": (CA,)})
        folder = servers.folder / "nobody"
        out, err, status = await self.run_to_end(
            *(*NODETRUST, "check", "--issuer", full_addresses(servers.issue.host)[0], "--state", folder),
            *("--nameserver", servers.dns_place, "--dns-port", servers.dns_place.port),
        )
        self.assertEqual((status, err, folder.exists()), (0, "", False), out)
        lines = out.splitlines()
        self.assertTrue(all(line[:6] in ("ok    ", "skip  ") for line in lines), out)
        self.assertIn("made up for this check", lines[0])
        self.assertIn("Proof servers: proven addresses: 127.0.0.1 (1 server)", out)
        self.assertIn("give the client's folder with --state", lines[-1])


class ServerTests(CheckTestCase):
    async def test_issue_servers(self) -> None:
        """One that is down, one that is another than its address says, and one of two: 3 only where none is left."""
        servers = await self.start(dns={"caa": (CA,)})
        good = full_addresses(servers.issue.host)[0]
        nowhere = f"/ip4/127.0.0.1/tcp/{self.unused_port()}/p2p/{PrivateKey.generate().peer_id}"
        document, status = await self.checked(servers, issuer=nowhere)
        self.assertEqual(status, 3)
        self.assert_fails(document, "issuer", "nobody listens on that port", "see that the server runs")
        another = good.without_peer_id().with_peer_id(PrivateKey.generate().peer_id)
        document, status = await self.checked(servers, issuer=another)
        self.assertEqual(status, 3)
        self.assert_fails(document, "issuer", "another peer than the address names", "its key has changed")
        document, status = await self.checked(servers, "--issuer", good, issuer=nowhere)
        self.assertEqual(status, 1)
        self.assertEqual(self.only(document, "issuer", "fail")["title"], nowhere.partition("/p2p")[0])
        proof = full_addresses(servers.proof.host)[0]
        document, status = await self.checked(servers, issuer=proof)
        self.assertEqual(status, 3)
        self.assert_fails(document, "issuer", "gives none", "may be a proof or DNS server")

    async def test_proof_servers(self) -> None:
        """Of two that must agree one lies about the time, then is down, then both are: each time nothing is proven."""
        second = ProofService(reactor, ProofSettings(state=Path(self.mktemp()), listen=LOOPBACK, allow_private=True))
        self.addCleanup(lambda: Deferred.fromCoroutine(second.stop()))
        await second.start()
        servers = self.prepare(dns={"caa": (CA,)})
        settings = servers.issue_settings
        both = full_addresses(second.host)
        servers.issue_settings = lambda: replace(  # type: ignore[method-assign]
            settings(), proof_servers=(*full_addresses(servers.proof.host), *both), quorum=2
        )
        await servers.start_servers(lambda step: None)
        document, status = await self.checked(servers)
        self.assertEqual(status, 0, document["steps"])

        ahead = _Ahead()
        second._protocol._clock = ahead  # type: ignore[union-attr,assignment]
        document, status = await self.checked(servers)
        self.assertEqual(status, 4)
        self.assert_fails(document, "proofs", "its clock is 10 minutes ahead of", "must set its clock")
        self.assert_fails(document, "proofs", "2 servers must agree, and there is only 127.0.0.1 (1 server)", "bring")

        ahead.seconds_ahead = 120
        document, status = await self.checked(servers)
        self.assertEqual(status, 0)
        self.assertIn("its clock is 2 minutes ahead of", self.only(document, "proofs", "warn")["found"])

        await second.stop()
        document, status = await self.checked(servers)
        self.assertEqual(status, 4)
        self.assert_fails(document, "proofs", "refuses the connection", "see that the server runs")

        await servers.proof.stop()
        document, status = await self.checked(servers)
        self.assertEqual(status, 4)
        self.assert_fails(document, "proofs", "none: no proof server gave a proof", "see what is wrong with each")


class _Ahead:
    """A proof server's clock that is wrong."""

    seconds_ahead = 600.0

    def seconds(self) -> float:
        return float(reactor.seconds()) + self.seconds_ahead


class DnsTests(CheckTestCase):
    """The zone's name server is the real one, and the resolver a stub before it, except where it says otherwise."""

    async def test_no_resolver(self) -> None:
        """One failure: what is asked through the resolver would say the same."""
        servers = await self.start()
        document, status = await self.checked(servers, dns_at=HostPort("127.0.0.1", self.unused_port()))
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "no resolver answers (127.0.0.1:", "--nameserver")
        self.assertEqual(self.only(document, "dns", "fail")["title"], f"delegation of {ZONE}")

    async def test_name_server_is_down(self) -> None:
        """Resolvers may remember answers for an hour; the name server itself is asked."""
        servers = await self.start()
        known: dict[Any, Any] = {
            (ZONE, dns.NS): [dns.Record_NS(f"ns.{ZONE}", 3600)],
            (f"ns.{ZONE}", dns.A): [dns.Record_A("127.0.0.1", 3600)],
            (LOOPBACK_NAME, dns.A): [dns.Record_A("127.0.0.1", 3600)],
        }
        resolver = self.stub(known, None)
        await servers.dns.stop()
        document, status = await self.checked(servers, dns_at=resolver)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "neither over UDP nor over TCP: nobody listens there", "port 53 are open")
        known[f"ns.{ZONE}", dns.A] = NO_SUCH_NAME
        document, _ = await self.checked(servers, dns_at=resolver)
        self.assert_fails(document, "dns", "this name server has no address", "as glue")

    async def test_delegation(self) -> None:
        """Missing, or with nobody who answers: the zone above is asked which of the two it is."""
        servers = await self.start()
        known: dict[Any, Any] = {(ZONE, dns.NS): NO_SUCH_NAME, ("test", dns.NS): NO_SUCH_NAME}
        resolver = self.stub(known, None)
        document, status = await self.checked(servers, dns_at=resolver)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "NXDOMAIN", "have the zone above name your DNS servers")
        known["test", dns.NS] = [dns.Record_NS("ns.test", 3600)]
        known["ns.test", dns.A] = [dns.Record_A("127.0.0.1", 3600)]
        document, status = await self.checked(servers, "--dns-port", resolver.port, dns_at=resolver)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "it is missing: test names no name servers", f"add NS records for {ZONE} to")

    async def test_wrong_answers(self) -> None:
        """Of the resolver alone, and of the name server; and one that says nothing over TCP."""
        servers = await self.start(dns={"caa": (CA,)})
        lie: Any = {(LOOPBACK_NAME, dns.A): [dns.Record_A("10.0.0.1", 3600)]}
        liar = self.stub(lie, servers.dns_place)
        document, status = await self.checked(servers, dns_at=liar)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", f"{LOOPBACK_NAME} is 10.0.0.1, and not 127.0.0.1", "private addresses")
        document, status = await self.checked(servers, "--dns-port", liar.port, dns_at=servers.dns_place)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "is 10.0.0.1, and not 127.0.0.1 (over UDP), and 1 other", "nodetrust-dns")
        half = self.stub({}, servers.dns_place, tcp=False)
        document, status = await self.checked(servers, "--dns-port", half.port, dns_at=servers.dns_place)
        self.assertEqual(status, 6)
        self.assert_fails(document, "dns", "answers over UDP, but not over TCP: nobody listens", "open TCP port 53")
        lame = self.stub({(ZONE, dns.SOA): []}, servers.dns_place)
        document, status = await self.checked(servers, "--dns-port", lame.port, dns_at=servers.dns_place)
        self.assert_fails(document, "dns", f"answers, but not for {ZONE}", "take it out of the NS records")


class CaaTests(CheckTestCase):
    async def introduced(self, servers: Servers) -> None:
        """Until the issue server knows its CA."""
        orders = servers.issue.orders
        assert orders is not None
        while not orders.signers()[0].caaIdentities:
            await deferLater(reactor, LOOK_AGAIN_SECONDS)
        self.assertEqual((servers.orders, servers.accounts), (0, 0))

    async def test_nobody_may_sign(self) -> None:
        """All else is well, and there will be no certificate all the same."""
        servers = await self.start(dns={"caa": (";",)})
        document, status = await self.checked(servers)
        self.assertEqual(status, 1)
        self.assert_fails(document, "caa", "nobody may sign", "add a record")

    async def test_the_issue_servers_ca(self) -> None:
        """Whether it may sign is known before the first order there: the issue server says what the CA is called."""
        servers = await self.start(CASettings(caa_identities=("ca.test",)), dns={"caa": ("ca.test", "pki.goog")})
        await self.introduced(servers)
        document, _ = await self.checked(servers)
        outcomes = {step["title"]: step["outcome"] for step in document["steps"] if step["area"] == "caa"}
        self.assertEqual(outcomes, {f"for {ZONE}": "ok", f"ca.test at {ZONE}": "ok"})

    async def test_another_ca_alone(self) -> None:
        """The records are good, but not for this issue server."""
        servers = await self.start(CASettings(caa_identities=("ca.test",)), dns={"caa": ("pki.goog",)})
        await self.introduced(servers)
        document, status = await self.checked(servers)
        self.assertEqual(status, 1)
        self.assert_fails(document, "caa", "name other CAs", 'CAA 0 issue "ca.test"')

    async def test_not_by_dns(self) -> None:
        """A CA that may validate only in ways that no issue server uses."""
        servers = await self.start(dns={"caa": ("letsencrypt.org; validationmethods=http-01",)})
        document, status = await self.checked(servers)
        self.assertEqual(status, 1)
        self.assert_fails(document, "caa", "only letsencrypt.org (by http-01) may sign", "add dns-01")


class OutsideTests(CheckTestCase):
    async def test_closed(self) -> None:
        """Nobody listens where WSS should be: the server that has tried it says so. The folder is as it was."""
        servers = await self.start(dns={"caa": (CA,)})
        state = servers.folder / "peer"
        load_identity(state)
        before = {file: file.stat().st_mtime_ns for file in state.iterdir()}
        port = self.unused_port()
        document, status = await self.checked(servers, "--state", state, "--wss", f"127.0.0.1:{port}")
        self.assertEqual(status, 7)
        self.assert_fails(document, "outside", "has dialled it in vain", f"127.0.0.1:{port} refuses connections")
        self.assertEqual(self.only(document, "outside", "fail")["facts"]["fault"], "CONNECTION_REFUSED")
        self.assertEqual({file: file.stat().st_mtime_ns for file in state.iterdir()}, before)

    async def test_another_peer(self) -> None:
        """WSS of a client is up, but it is not this peer's."""
        servers = await self.start(dns={"caa": (CA,)})
        await servers.start_client(lambda step: None)
        port = (await servers.client.announced())[0].get("tcp")
        state = servers.folder / "peer"
        load_identity(state)
        document, status = await self.checked(servers, "--state", state, "--wss", f"127.0.0.1:{port}")
        self.assertEqual(status, 7)
        self.assert_fails(document, "outside", "in vain", "is answered by another node")


class CommandTests(CheckTestCase):
    async def test_usage(self) -> None:
        """No issue server, a name server by its name, and a file that is not there are wrong options: 2."""
        peer = PrivateKey.generate().peer_id
        for arguments, expected in (
            ((), "Missing argument 'ISSUER'"),
            (("/ip4/127.0.0.1/tcp/1",), "does not end in /p2p/PEER-ID"),
            ((f"/ip4/127.0.0.1/tcp/1/p2p/{peer}", "--nameserver", "dns.example:53"), "expected an IP address"),
            ((f"/ip4/127.0.0.1/tcp/1/p2p/{peer}", "--trust-file", "/nonexistent.pem"), "cannot be read"),
        ):
            _, err, status = await self.run_to_end(*NODETRUST, "check", *arguments)
            self.assertEqual(status, 2)
            self.assertIn(expected, err)

    async def test_signals(self) -> None:
        """SIGTERM and Ctrl-C end it at once with 130, also while it waits for a server that says nothing."""
        issuer = f"/ip4/127.0.0.1/tcp/{self.silent_port()}/p2p/{PrivateKey.generate().peer_id}"
        state = Path(self.mktemp()).absolute()
        for number in (signal.SIGTERM, signal.SIGINT):
            running = self.spawn(*NODETRUST, "check", issuer, "--state", state)
            await running.line_with("peer ID")
            await self.assert_ends(running, number, 130)
            self.assertEqual(running.printed[2], "")

    async def test_signal_while_others_dial(self) -> None:
        """The same while a server waits for an answer of the WSS address, which is asked for beside the DNS."""
        servers = await self.start(dns={"caa": (CA,)})
        state = servers.folder / "peer"
        load_identity(state)
        place, issuer = servers.dns_place, full_addresses(servers.issue.host)[0]
        arguments = (issuer, "--state", state, "--wss", f"127.0.0.1:{self.silent_port()}", "--nameserver", place)
        running = self.spawn(*NODETRUST, "check", *arguments, "--dns-port", place.port)
        await running.line_with("Certificate:")
        await self.assert_ends(running, signal.SIGTERM, 130)
        self.assertEqual(running.printed[2], "")

    async def test_bounded_in_time(self) -> None:
        """What was not looked at is said, and the status is that of what was."""
        issuer = f"/ip4/127.0.0.1/tcp/{self.silent_port()}/p2p/{PrivateKey.generate().peer_id}"
        script = "import sys, nodetrust.command.check as c; c.WALK_SECONDS = 0.2; c.check(sys.argv[1:])"
        state = Path(self.mktemp()).absolute()
        out, err, status = await self.run_to_end(sys.executable, "-c", script, issuer, "--state", state)
        self.assertEqual((status, err), (3, ""), out)
        self.assertIn("FAIL  This peer: time: the rest was not looked at", out.splitlines()[-1])

    def silent_port(self) -> int:
        """A port on which connections are taken, and nothing is said."""
        silent = socket.socket()
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        return int(silent.getsockname()[1])


class StatusTests(CheckTestCase):
    def test_of_several_the_first_on_the_path(self) -> None:
        """Nobody has to look at a later one before the earlier is mended."""
        walked = Walked()
        self.assertEqual(exit_status(walked), 3)
        walked.served = True
        self.assertEqual(exit_status(walked), 4)
        walked.known[ZONE] = (LOOPBACK_IP,)
        self.assertEqual(exit_status(walked), 0)
        for area, status in ((Area.CERTIFICATE, 1), (Area.OUTSIDE, 7), (Area.DNS, 6)):
            walked.steps.append(Step(area, "", Outcome.FAIL, ""))
            self.assertEqual(exit_status(walked), status)
