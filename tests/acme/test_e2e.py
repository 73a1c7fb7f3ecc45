"""Our client and our CA over real HTTPS on loopback, validated by real DNS queries to a scripted responder."""

from dataclasses import replace
from pathlib import Path

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from nodetrust.acme import (
    AcmeClient,
    AcmeMisbehaved,
    AcmeRefused,
    AcmeTimedOut,
    AcmeUnreachable,
    AcmeUsageError,
    AcmeValidationFailed,
    Deadline,
    IssuedCertificate,
    generate_account_key,
    obtain,
    retries,
)
from nodetrust.testing.ca import CAError, CASettings, DevelopmentCA
from nodetrust.testing.ca.ca import CertificateAuthority, Issuer
from tests.acme.scripted_dns import ScriptedDns
from tests.acme.support import csr

NAMES = ("ip4127-0-0-1.nt.example", "*.pabc.nt.example", "pabc.nt.example")


class EndToEndTests(TestCase):
    """The whole order, with nothing replaced but the network's far end."""

    timeout = 120

    def setUp(self) -> None:
        self.dns = ScriptedDns()
        self.address = self.dns.listen()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.dns.stop()))
        self.folder = Path(self.mktemp())

    async def started(self, kind: type[DevelopmentCA] = DevelopmentCA, **settings: object) -> tuple[DevelopmentCA, str]:
        ca = kind(reactor, self.folder, self.address, settings=replace(CASettings(bad_nonce_rate=0), **settings))
        url = await ca.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(ca.stop()))
        return ca, url

    def client(self, url: str, ca: DevelopmentCA | None, **options: object) -> AcmeClient:
        roots = None if ca is None else ca.root_pem_path.read_bytes()
        client = AcmeClient(reactor, url, generate_account_key(), trust_root_pem=roots, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(client.close()))
        return client

    async def obtained(self, client: AcmeClient, **options: object) -> IssuedCertificate:
        return await obtain(client, NAMES, csr(NAMES), self.dns.publish, self.dns.withdraw, **options)

    async def test_order(self) -> None:
        """A certificate that verifies up to the CA's root, with half of all nonces refused; the DNS is clean again."""
        ca, url = await self.started(bad_nonce_rate=0.5)
        issued = await self.obtained(self.client(url, ca))
        leaf, intermediate = x509.load_pem_x509_certificates(issued.chain_pem)
        root = x509.load_pem_x509_certificate(ca.root_pem_path.read_bytes())
        leaf.verify_directly_issued_by(intermediate)
        intermediate.verify_directly_issued_by(root)
        verifier = x509.verification.PolicyBuilder().store(x509.verification.Store([root]))
        verifier.build_server_verifier(x509.DNSName(NAMES[0])).verify(leaf, [intermediate])
        self.assertEqual(self.dns.values, {})

    async def test_long_answers(self) -> None:
        """TXT answers that do not fit into a datagram are asked for again over TCP."""
        ca, url = await self.started()
        self.dns.padding = tuple(f"{n:0200d}" for n in range(5))
        await self.obtained(self.client(url, ca))
        self.assertGreaterEqual(self.dns.tcp_queries, 2)

    async def test_no_such_name(self) -> None:
        """A name that the DNS server does not know is a failed validation that says so."""
        ca, url = await self.started()
        self.dns.publish = self.dns.withdraw
        caught = await self.assertFailure(
            Deferred.fromCoroutine(self.obtained(self.client(url, ca))), AcmeValidationFailed
        )
        self.assertRegex(str(caught), "looking up TXT .* failed: DNSNameError")

    async def test_refused_name(self) -> None:
        """A name that the CA was told to refuse."""
        ca, url = await self.started(refused=("pabc.nt.example",))
        await self.assertFailure(Deferred.fromCoroutine(self.obtained(self.client(url, ca))), AcmeRefused)

    async def test_root_survives(self) -> None:
        """A CA that is started again in its folder has the same root, and a stopped one can be stopped again."""
        ca, _ = await self.started()
        root = ca.root_pem_path.read_bytes()
        await ca.stop()
        again, url = await self.started()
        self.assertEqual(again.root_pem_path.read_bytes(), root)
        await self.obtained(self.client(url, again))

    async def test_restart_between(self) -> None:
        """A client outlives its CA: connections, nonces and account of old are replaced."""
        ca, url = await self.started()
        client = self.client(url, ca)
        await self.obtained(client)
        await ca.stop()
        port = int(url.split(":")[2].split("/")[0])
        second = DevelopmentCA(reactor, self.folder, self.address, port=port)
        self.assertEqual(await second.start(), url)
        self.addCleanup(lambda: Deferred.fromCoroutine(second.stop()))
        await self.obtained(client)

    async def test_ca_down(self) -> None:
        """Where nobody listens the error says who cannot be reached."""
        self.patch(retries, "_TROUBLE_PAUSE", 0.01)
        ca, url = await self.started()
        await ca.stop()
        client = self.client(url, ca)
        caught = await self.assertFailure(
            Deferred.fromCoroutine(client.register(Deadline(reactor, 20))), AcmeUnreachable
        )
        self.assertIn("127.0.0.1", str(caught))

    async def test_untrusted(self) -> None:
        """A CA whose own certificate is not from a trusted root hears nothing."""
        self.patch(retries, "_TROUBLE_PAUSE", 0.01)
        _, url = await self.started()
        caught = await self.assertFailure(
            Deferred.fromCoroutine(self.client(url, None).register(Deadline(reactor, 20))), AcmeUnreachable
        )
        self.assertIn("TLS certificate", str(caught))

    async def test_wrong_certificate(self) -> None:
        """A CA that signs other names than it was asked for."""

        class Tampering(CertificateAuthority):
            def issue(self, csr, names, now, life) -> bytes:
                return super().issue(csr, [*names, "extra.example"], now, life)

        class TamperingCA(DevelopmentCA):
            def make_authority(self, root: Issuer) -> CertificateAuthority:
                return Tampering(root, self._now())

        ca, url = await self.started(TamperingCA)
        await self.assertFailure(Deferred.fromCoroutine(self.obtained(self.client(url, ca))), AcmeMisbehaved)

    async def test_port_taken(self) -> None:
        """A CA whose port is taken, or whose folder is a file, says so."""
        _, url = await self.started()
        taken = DevelopmentCA(reactor, self.folder, self.address, port=int(url.split(":")[2].split("/")[0]))
        await self.assertFailure(Deferred.fromCoroutine(taken.start()), CAError)
        file = Path(self.mktemp())
        file.write_bytes(b"")
        await self.assertFailure(Deferred.fromCoroutine(DevelopmentCA(reactor, file, self.address).start()), CAError)


class RawServerTests(TestCase):
    """Servers that speak less than HTTP."""

    timeout = 120

    async def answered(self, answer: bytes, *, close: bool, seconds: float) -> Exception:
        """What a client that has so long says of a server that answers everything so."""
        gone: list[Deferred] = []

        class Server(Protocol):
            def connectionMade(self) -> None:
                gone.append(Deferred())
                self.gone = gone[-1]

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(answer)
                if close:
                    self.transport.loseConnection()

            def connectionLost(self, reason) -> None:
                self.gone.callback(None)

        factory = Factory.forProtocol(Server)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        url = f"http://127.0.0.1:{port.getHost().port}/directory"
        client = AcmeClient(reactor, url, generate_account_key(), allow_loopback_http=True)
        try:
            await client.directory(Deadline(reactor, seconds))
        except Exception as error:
            return error
        finally:
            await client.close()
            await port.stopListening()
            for one in gone:
                await one
        raise AssertionError("no error")

    async def test_garbage(self) -> None:
        """What is no HTTP, or breaks off, is a CA that cannot be reached; too much is one that misbehaves."""
        self.patch(retries, "_TROUBLE_PAUSE", 60.0)  # once is enough
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        for answer, close, expected in (
            (b"\x16\x03\x01" * 100 + b"\r\n\r\n", True, AcmeUnreachable),
            (head + b"Content-Length: 100\r\n\r\n{", True, AcmeUnreachable),
            (b"", True, AcmeUnreachable),
            (b"", False, AcmeTimedOut),
            (head, False, AcmeTimedOut),
            (head + b"Content-Length: 100\r\n\r\n{", False, AcmeTimedOut),
            (head + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000, False, AcmeMisbehaved),
            (head + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 65536 + b"\r\n", False, AcmeTimedOut),
            (b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", False, AcmeMisbehaved),
        ):
            error = await self.answered(answer, close=close, seconds=0.4 if expected is AcmeTimedOut else 20.0)
            self.assertIsInstance(error, expected, answer[:60])
            self.assertTrue(str(error).isprintable())

    def test_http_needs_leave(self) -> None:
        """http is refused unless it is allowed, and then only to this machine."""
        self.assertRaises(AcmeUsageError, AcmeClient, reactor, "http://127.0.0.1/", generate_account_key())
