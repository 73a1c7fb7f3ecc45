"""The programs as an operator meets them: processes, their exit statuses, what they print, and how they end."""

import json
import os
import signal
import stat
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.command.deployment import ZONE, full_addresses
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.service import load_identity
from nodetrust.settings import HostPort
from nodetrust.testing.ca import DevelopmentCA
from tests.autotls.site import send
from tests.servers import LOOPBACK_NAME, ServersTestCase, reactor
from tests.toml import to_toml

CHECKOUT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]
NODETRUST = [sys.executable, "-c", "from nodetrust.command.main import main; main()"]
LOOPBACK_PORT = "/ip4/127.0.0.1/tcp/0"
STOP_SECONDS = 20.0
"""All of the demo stops in one on a fast machine that is free."""
UNHURRIED_DEMO = """
from msgspec.structs import replace
from nodetrust.command import demo

class Unhurried(demo.Deployment):
    def client_settings(self, number=1):
        return replace(super().client_settings(number), announce_seconds=5.0)

demo.DEMO_SECONDS, demo.Deployment = 500, Unhurried
demo.demo()
"""
"""What a dozen clients announce every second alone keeps a slow machine busy."""

ROLES = ("dns", "proof", "issue", "client", "autotls")


class Running(ProcessProtocol):
    """A process, and what it has printed."""

    def __init__(self) -> None:
        self.printed = {1: "", 2: ""}
        self.status: int | None = None
        self._ended: list[Deferred[None]] = []
        self._awaited: list[tuple[str, Deferred[str]]] = []

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.printed[childFD] += data.decode()
        self._look()

    def processEnded(self, reason: Any) -> None:
        self.status = -reason.value.signal if reason.value.exitCode is None else reason.value.exitCode
        self._look()
        for waiting in self._ended:
            waiting.callback(None)

    def line_with(self, text: str) -> Deferred[str]:
        """The first whole line on stdout with this text; fails if the process ends without one."""
        waiting: Deferred[str] = Deferred()
        self._awaited.append((text, waiting))
        self._look()
        return waiting

    def ended(self) -> Deferred[None]:
        """Fires when the process is gone."""
        waiting: Deferred[None] = Deferred()
        if self.status is None:
            self._ended.append(waiting)
        else:
            waiting.callback(None)
        return waiting

    def signal(self, number: int) -> None:
        assert self.transport is not None
        try:
            self.transport.signalProcess(number)
        except ProcessExitedAlready:
            return

    def _look(self) -> None:
        lines = self.printed[1].split("\n")[:-1]
        for text, waiting in list(self._awaited):
            found = next((line for line in lines if text in line), None)
            if found is not None or self.status is not None:
                self._awaited.remove((text, waiting))
                if found is not None:
                    waiting.callback(found)
                else:
                    waiting.errback(AssertionError(f"no {text!r} in {self.printed}"))


class ProcessTestCase(ServersTestCase):
    """Runs programs, and sees to it that they are gone after the test."""

    def spawn(self, *command: Any) -> Running:
        arguments = [str(part) for part in command]
        running = Running()
        reactor.spawnProcess(running, arguments[0], arguments, env=ENVIRONMENT)

        def kill() -> Deferred[None]:
            running.signal(signal.SIGKILL)
            return running.ended()

        self.addCleanup(kill)
        return running

    async def run_to_end(self, *command: Any) -> tuple[str, str, int]:
        """stdout, stderr and the exit status."""
        arguments = [str(part) for part in command]
        out, err, status = await getProcessOutputAndValue(arguments[0], arguments[1:], env=ENVIRONMENT)
        return out.decode(), err.decode(), status

    async def assert_ends(self, running: Running, number: int, status: int) -> None:
        """A signal ends it in good time, with this status and no traceback."""
        begun = reactor.seconds()
        running.signal(number)
        await running.ended()
        self.assertEqual(running.status, status, running.printed)
        self.assertLess(reactor.seconds() - begun, STOP_SECONDS)
        for text in running.printed.values():
            self.assertNotIn("Traceback", text)


class TwistdTests(ProcessTestCase):
    """Our five commands under twistd."""

    def settings_file(self, role: str, **settings: Any) -> Path:
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        settings = {"state": str(path / "state"), **settings}
        file = path / f"{role}.toml"
        file.write_text(to_toml(settings))
        return file

    def twistd(self, role: str, **settings: Any) -> Running:
        return self.spawn(*TWISTD, f"nodetrust-{role}", "--config", self.settings_file(role, **settings))

    async def assert_stops(self, running: Running) -> None:
        """SIGTERM ends it cleanly; when all is closed, twistd sends itself the signal again, for its parent to see."""
        await self.assert_ends(running, signal.SIGTERM, -signal.SIGTERM)
        self.assertIn("Server Shut Down.", running.printed[1])
        self.assertEqual(running.printed[2], "")

    async def test_help(self) -> None:
        """Every option of every command has an explanation."""
        for role in ROLES:
            out, _, status = await self.run_to_end(*TWISTD, f"nodetrust-{role}", "--help")
            self.assertEqual(status, 0)
            options = [line for line in out.splitlines() if line.lstrip().startswith("-") and "--" in line]
            self.assertGreater(len(options), 4)
            for line in options:
                self.assertRegex(line, r"--[a-z0-9-]+=? +\S", f"{role}: not explained")

    async def assert_refused(self, role: str, file: Path, key: str, expected: str) -> None:
        """One line on stderr, status 1; stdout has twistd's log, without a traceback."""
        out, err, status = await self.run_to_end(*TWISTD, f"nodetrust-{role}", "--config", file)
        self.assertEqual(status, 1, out + err)
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertTrue(err.startswith(f"nodetrust-{role}: {file}: {key}: "), err)
        self.assertIn(expected, err)
        self.assertNotIn("Traceback", out)

    async def test_wrong_settings(self) -> None:
        """The line names the command, the file, the key and what was expected: of values, and of what they lead to."""
        peer = PrivateKey.generate().peer_id
        issuer = f"/ip4/127.0.0.1/tcp/1/p2p/{peer}"
        file = Path(self.mktemp()).absolute()
        file.write_text("")
        good = {"listen": [LOOPBACK_PORT]}
        issue = {**good, "zone": ZONE, "proof_servers": [issuer], "dns_servers": [issuer], "agree_to_terms": True}
        part = {"registration_name": ["registration.example"], "external_tls": ["127.0.0.1:0"]}
        autotls = {**part, "zone": ZONE, "dns_servers": [issuer]}
        for role, settings, key, expected in (
            ("proof", {"listen": ["nowhere"]}, "listen[0]", ""),
            ("proof", {**good, "colour": "red"}, "colour", "no such setting"),
            ("proof", {**good, "state": str(file)}, "state", "expected a folder"),
            ("dns", {**good, "zone": ZONE, "addresses": "some"}, "addresses", "expected one of all, public, private"),
            ("issue", {**issue, "agree_to_terms": False}, "agree_to_terms", "expected true"),
            ("issue", {**issue, "acme_directory": "http://ca.example/"}, "acme_directory", "https"),
            ("issue", {**issue, "acme_ca_file": "/nonexistent.pem"}, "acme_ca_file", "No such file"),
            (
                "client",
                {**good, "issuer": ["/ip4/127.0.0.1/tcp/1"]},
                "issuer",
                "expected a multiaddr that ends in /p2p",
            ),
            ("client", {**good, "issuer": [issuer], "trust_file": str(file)}, "trust_file", "expected PEM"),
            ("autotls", {**autotls, "external_tls": [], "https_listen": []}, "https_listen", "expected an address"),
            ("autotls", {**autotls, "external_tls": ["localhost:0"]}, "external_tls", "expected an IP address"),
            (
                "autotls",
                {**autotls, "https_listen": ["127.0.0.1:0"], "agree_to_terms": False},
                "agree_to_terms",
                "expected true",
            ),
            ("autotls", {**autotls, "dns_servers": ["/ip4/127.0.0.1/tcp/1"]}, "dns_servers", "ends in /p2p"),
            ("autotls", {**autotls, "allow_networks": ["10.0.0.1/8"]}, "allow_networks", ""),
            ("autotls", {**autotls, "proxy_protocol": True}, "proxy_protocol", "proxies"),
            ("autotls", {**autotls, "access_token_file": str(file)}, "access_token_file", "empty"),
            ("issue", {**issue, "autotls": {**part, "colour": "red"}}, "autotls.colour", "no such setting"),
            (
                "issue",
                {**issue, "https_listen": [], "autotls": {"registration_name": ["x.example"]}},
                "https_listen",
                "autotls.external_tls",
            ),
            ("issue", {**issue, "autotls": {**part, "external_tls": ["localhost:0"]}}, "autotls.external_tls", "an IP"),
            ("issue", {**issue, "autotls": {**part, "allow_networks": ["x"]}}, "autotls.allow_networks", ""),
            (
                "issue",
                {**issue, "autotls": {**part, "nameserver": "ns.example:53"}},
                "autotls.nameserver",
                "an IP address",
            ),
            (
                "issue",
                {**issue, "autotls": {**part, "access_token_file": str(file)}},
                "autotls.access_token_file",
                "empty",
            ),
        ):
            await self.assert_refused(role, self.settings_file(role, **settings), key, expected)

    async def test_ports_that_are_taken(self) -> None:
        """The line names the address and says that it is in use."""
        first = self.twistd("proof", listen=[LOOPBACK_PORT])
        taken = (await first.line_with("listens on")).partition("listens on ")[2].partition("/p2p/")[0]
        issuer = f"{taken}/p2p/{PrivateKey.generate().peer_id}"
        second = self.settings_file("proof", listen=[taken])
        await self.assert_refused("proof", second, "listen", f"got {taken}: Can't listen on {taken}")
        wss = self.settings_file("client", listen=[LOOPBACK_PORT], wss_listen=[f"{taken}/tls/ws"], issuer=[issuer])
        await self.assert_refused("client", wss, "wss_listen", "already in use")
        await self.assert_stops(first)

    async def test_the_main_job(self) -> None:
        """Four processes, configured by files, and a CA: the client gets its certificate; SIGTERM ends each of them."""
        folder = Path(self.mktemp()).absolute()
        issue_state = folder / "issue"
        admin = load_identity(issue_state).peer_id
        listen = [LOOPBACK_PORT]
        dns = self.twistd("dns", zone=ZONE, listen=listen, listen_dns=["127.0.0.1:0"], admins=[str(admin)])
        place = (await dns.line_with("answers for")).partition(" on ")[2].partition(",")[0]
        dns_address = (await dns.line_with("listens on")).rpartition(" ")[2]
        host, _, port = place.rpartition(":")
        ca = DevelopmentCA(reactor, folder / "ca", (host, int(port)))
        self.addCleanup(lambda: Deferred.fromCoroutine(ca.stop()))
        directory = await ca.start()
        proof = self.twistd("proof", listen=listen, allow_private=True)
        proof_address = (await proof.line_with("listens on")).rpartition(" ")[2]
        issue = self.twistd(
            "issue",
            zone=ZONE,
            state=str(issue_state),
            listen=listen,
            proof_servers=[proof_address],
            dns_servers=[dns_address],
            acme_directory=directory,
            acme_ca_file=str(ca.root_pem_path),
            agree_to_terms=True,
            allow_private=True,
        )
        issuer = (await issue.line_with("listens on")).rpartition(" ")[2]
        client = self.twistd("client", listen=listen, wss_listen=[f"{LOOPBACK_PORT}/tls/ws"], issuer=[issuer])
        self.assertIn(LOOPBACK_NAME, await client.line_with("certificate for"))
        for running in (client, issue, proof, dns):
            await self.assert_stops(running)

    async def test_broker(self) -> None:
        """The AutoTLS broker gets a certificate for its own name, answers, and ends with SIGTERM."""
        folder = Path(self.mktemp()).absolute()
        state = folder / "autotls"
        dns = self.twistd(
            "dns",
            zone=ZONE,
            listen=[LOOPBACK_PORT],
            listen_dns=["127.0.0.1:0"],
            admins=[str(load_identity(state).peer_id)],
            challenge_names=[f"registration.{ZONE}"],
        )
        place = (await dns.line_with("answers for")).partition(" on ")[2].partition(",")[0]
        dns_address = (await dns.line_with("listens on")).rpartition(" ")[2]
        host, _, port = place.rpartition(":")
        ca = DevelopmentCA(reactor, folder / "ca", (host, int(port)))
        self.addCleanup(lambda: Deferred.fromCoroutine(ca.stop()))
        broker = self.twistd(
            "autotls",
            zone=ZONE,
            state=str(state),
            registration_name=[f"registration.{ZONE}"],
            dns_servers=[dns_address],
            https_listen=["127.0.0.1:0"],
            external_tls=["127.0.0.1:0"],
            acme_directory=await ca.start(),
            acme_ca_file=str(ca.root_pem_path),
            agree_to_terms=True,
        )
        await broker.line_with("own certificate is for")
        http_place = HostPort.parse((await broker.line_with("answers HTTP on")).rpartition(" ")[2])
        answer = await send(http_place, "GET", "/v1/health", [("Host", "x")])
        self.assertEqual(answer.status, 204)
        for running in (broker, dns):
            await self.assert_stops(running)


class ObtainTests(ProcessTestCase):
    """`nodetrust obtain`."""

    async def obtain(self, out: Path, issuer: Any, *more: Any) -> tuple[str, int]:
        """stderr and the exit status; on stdout is nothing, and on stderr nothing if it went well."""
        printed, err, status = await self.run_to_end(*NODETRUST, "obtain", "--issuer", issuer, "--out", out, *more)
        self.assertEqual((printed, err == ""), ("", status == 0), err)
        self.assertNotIn("Traceback", err)
        return err, status

    async def described(self, out: Path, *more: Any) -> dict[str, Any]:
        """What --json prints, which is one line; nothing is on stderr."""
        printed, err, status = await self.run_to_end(*NODETRUST, "obtain", "--json", "--out", out, *more)
        self.assertEqual((err, status, printed.count("\n")), ("", 0, 1))
        return json.loads(printed)  # type: ignore[no-any-return]

    async def test_files(self) -> None:
        """Four files that fit together, the keys readable by their owner alone; asked again, from the store."""
        servers = await self.start()
        issuer, out = full_addresses(servers.issue.host)[0], servers.folder / "out"
        err, status = await self.obtain(out, issuer)
        self.assertEqual(status, 0, err)
        contents = {path.name: path.read_bytes() for path in out.iterdir()}
        self.assertEqual(contents["fullchain.pem"], contents["cert.pem"] + contents["chain.pem"])
        key = load_pem_private_key(contents["key.pem"], None)
        leaf = x509.load_pem_x509_certificate(contents["cert.pem"])
        self.assertEqual(leaf.public_key(), key.public_key())
        for name in ("key.pem", "peer.key"):
            self.assertEqual(stat.S_IMODE((out / name).stat().st_mode), 0o600)
        told = await self.described(out, "--issuer", issuer)
        self.assertEqual((told["from_cache"], told["folder"]), (True, str(out)))
        self.assertEqual((out / "cert.pem").read_bytes(), contents["cert.pem"])
        self.assertEqual(servers.orders, 1)
        err, status = await self.obtain(out, issuer, "--new-key", "--crypto", "rsa")
        self.assertEqual((status, servers.orders), (0, 2), err)
        self.assertNotEqual((out / "key.pem").read_bytes(), contents["key.pem"])

    async def test_several_issue_servers(self) -> None:
        """The next one does what the first does not; JSON says who did; what the one that came furthest met counts."""
        servers = await self.start(issue={"cryptos": ("ecdsa-p256",)})
        good = full_addresses(servers.issue.host)[0]
        nowhere = f"/ip4/127.0.0.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"
        told = await self.described(servers.folder / "a", "--issuer", nowhere, "--issuer", good)
        leaf = x509.load_pem_x509_certificate((servers.folder / "a" / "cert.pem").read_bytes())
        self.assertIn(LOOPBACK_NAME, told.pop("names"))
        self.assertIsNotNone(datetime.fromisoformat(told.pop("renew_at")).tzinfo)
        self.assertEqual(
            told,
            {
                "folder": str(servers.folder / "a"),
                "addresses": ["127.0.0.1"],
                "not_after": leaf.not_valid_after_utc.isoformat(),
                "from_cache": False,
                "issuer": str(good.peer_id),
            },
        )
        refused = ("--issuer", good, "--crypto", "rsa")
        err, status = await self.obtain(servers.folder / "b", nowhere, *refused)
        self.assertEqual((status, len(err.splitlines())), (5, 2), err)
        elsewhere = f"/ip4/127.0.0.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"
        err, status = await self.obtain(servers.folder / "c", nowhere, "--issuer", elsewhere)
        self.assertEqual(status, 3, err)

    async def test_failures(self) -> None:
        """Each kind has its exit status and a line that says why, and leaves no certificate."""
        servers = await self.start(issue={"cryptos": ("ecdsa-p256",)})
        issuer, folder = full_addresses(servers.issue.host)[0], servers.folder
        nowhere = f"/ip4/127.0.0.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"
        blocked = folder / "file"
        blocked.write_text("")
        for to, out, more, expected, reason in (
            (nowhere, folder / "a", (), 3, "gave no information"),
            (issuer, folder / "b", ("--crypto", "rsa"), 5, "does not offer"),
            (issuer, folder / "c", ("--names", "peer"), 5, "E_NOT_AUTHORIZED"),
            (issuer, blocked / "d", (), 1, str(blocked / "d")),
            ("/ip4/127.0.0.1/tcp/1", folder / "e", (), 2, "does not end in /p2p/PEER-ID"),
            ("[red]", folder / "f", (), 2, "[red]"),
            (issuer, folder / "h", ("--trust-file", blocked), 2, "expected PEM certificates"),
        ):
            err, status = await self.obtain(out, to, *more)
            self.assertEqual(status, expected, err)
            self.assertIn(reason, err)
            self.assertFalse((out / "key.pem").exists() or (out / "cert.pem").exists())
        await servers.proof.stop()
        err, status = await self.obtain(folder / "g", issuer)
        self.assertEqual(status, 4, err)
        self.assertIn("no proof server gave a proof; 12D3", err)


class DemoTests(ProcessTestCase):
    """`nodetrust demo`."""

    def demo(self, *options: str, path: Path | None = None) -> tuple[Running, Path]:
        """The demo, and the folder in which it makes its own; `path` is where it finds other programs."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        variables = [f"TMPDIR={folder}", *([] if path is None else [f"PATH={path}"])]
        return self.spawn("/usr/bin/env", *variables, *NODETRUST, "demo", *options), folder

    async def test_once(self) -> None:
        """It ends with 0 when all has worked, says nothing on stderr, and leaves nothing."""
        demo, folder = self.demo("--once")
        await demo.ended()
        self.assertEqual((demo.status, demo.printed[2], list(folder.iterdir())), (0, "", []), demo.printed)
        reached = (
            "certificate for ip4127-0-0-1",
            "certificate for *.k51",
            "a second peer heard of /dns4/127-0-0-1.k51",
            "WSS at /dns4/",
            "dialled it over verified TLS",
            "https://issue.nodetrust.test:",
        )
        for text in reached:
            self.assertIn(text, demo.printed[1])

    async def test_many_clients(self) -> None:
        """More than the DNS server answers challenges for their one name at a time: none of them is refused."""
        demo = self.spawn(sys.executable, "-c", UNHURRIED_DEMO, "--once", "--clients=12")
        await demo.ended()
        self.assertEqual((demo.status, demo.printed[2]), (0, ""), demo.printed)
        self.assertEqual(demo.printed[1].count("certificate for ip4127-0-0-1"), 12)

    async def test_json(self) -> None:
        """stdout is one line of JSON that says where everything is; SIGTERM and Ctrl-C end it with 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            demo, folder = self.demo("--json")
            told = json.loads(await demo.line_with("{"))
            places = {"dns", "issue", "proof", "client", "clients", "page", "broker", "autotls_client"}
            self.assertEqual(set(told), {"zone", *places, "ca_root", "acme_directory"})
            self.assertIn("BEGIN CERTIFICATE", Path(told["ca_root"]).read_text())
            self.assertTrue(all("/p2p/" in one for role in ("issue", "proof", "client") for one in told[role]))
            self.assertEqual(told["clients"][0], told["client"])
            self.assertEqual(len(told["clients"]), 3)
            self.assertTrue(all(any("/tls/ws/" in one for one in client) for client in told["clients"]))
            self.assertRegex(told["broker"], rf"^https://autotls\.{ZONE}:\d+$")
            self.assertTrue(any("/tls/sni/127-0-0-1.k51" in one for one in told["autotls_client"]))
            await self.assert_ends(demo, number, 0)
            self.assertEqual((demo.printed[1].count("\n"), list(folder.iterdir())), (1, []))

    async def test_browser(self) -> None:
        """--browser opens the page, and closing the browser ends the demo; without one it says what is missing."""
        programs = Path(self.mktemp()).absolute()
        programs.mkdir()
        browser, asked = programs / "google-chrome", programs / "asked"
        browser.write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
        browser.chmod(0o755)
        demo, folder = self.demo("--browser", "--clients=1", path=programs)
        await demo.ended()
        self.assertEqual((demo.status, demo.printed[2], list(folder.iterdir())), (0, "", []), demo.printed)
        options = asked.read_text()
        self.assertIn(f"--host-resolver-rules=MAP *.{ZONE} 127.0.0.1", options)
        self.assertRegex(options, r"--ignore-certificate-errors-spki-list=[A-Za-z0-9+/]{43}= ")
        self.assertRegex(options, rf" https://issue\.{ZONE}:\d+/\n$")
        demo, _ = self.demo("--browser", "--once", path=programs)
        await demo.ended()
        self.assertIn("choose one", demo.printed[2])
        browser.unlink()
        demo, _ = self.demo("--browser", path=programs)
        await demo.ended()
        self.assertEqual(demo.status, 1, demo.printed)
        self.assertIn("google-chrome", demo.printed[1])
        self.assertNotIn("Traceback", demo.printed[2])

    async def test_failure(self) -> None:
        """A demo that does not get ready in time says so, with status 1."""
        script = "import nodetrust.command.demo as d; d.DEMO_SECONDS = 0.01; d.demo(['--once'])"
        out, err, status = await self.run_to_end(sys.executable, "-c", script)
        self.assertEqual(status, 1, err)
        self.assertIn("this took more than 0.01 seconds", out)
        self.assertNotIn("Traceback", err)
