"""A CA without sockets: the development CA's front end behind an IAgent, with a way to spoil its answers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from nodetrust.acme import AcmeClient, Dns01Record, account_key_from_pem
from nodetrust.testing.ca.ca import CertificateAuthority, Issuer, _issuer_certificate
from nodetrust.testing.ca.db import Database
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import CAContext, Reply
from nodetrust.testing.ca.settings import CASettings
from nodetrust.testing.ca.va import expected_value
from nodetrust.testing.ca.wfe import FrontEnd

BASE = "https://ca.example"
DIRECTORY = f"{BASE}/directory"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

KEY = ec.derive_private_key(7, ec.SECP256R1())
ACCOUNT_KEY = account_key_from_pem(
    ec.derive_private_key(11, ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)


def csr(names: Sequence[str], key: ec.EllipticCurvePrivateKey = KEY, common_name: str | None = None) -> bytes:
    """DER of a CSR."""
    subject = [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(subject))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def root(now: datetime = NOW) -> Issuer:
    """A root that is made from nothing but the time."""
    key = ec.derive_private_key(13, ec.SECP256R1())
    return Issuer(_issuer_certificate("test root", key, None, now, path_length=1), key)


@implementer(IResponse)
class MemoryResponse:
    """An answer whose body comes in pieces of 1000 octets, as far as somebody reads."""

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = None
    previousResponse = None

    def __init__(self, reply: Reply) -> None:
        self.code = reply.status
        self.headers = Headers({name: [value] for name, value in reply.headers.items()})
        self.length = len(reply.body)
        self._body = reply.body
        self.dropped = False

    def deliverBody(self, protocol) -> None:
        protocol.makeConnection(self)
        for at in range(0, len(self._body), 1000):
            if self.dropped:
                return
            protocol.dataReceived(self._body[at : at + 1000])
        protocol.connectionLost(Failure(ResponseDone()))

    def loseConnection(self) -> None:
        self.dropped = True

    def setPreviousResponse(self, response) -> None:
        raise NotImplementedError


class _Sink:
    def __init__(self) -> None:
        self.body = b""

    def write(self, data: bytes) -> None:
        self.body += data


@implementer(IAgent)
class MemoryCA:
    """`records` is its DNS. `spoil(method, path, reply)` may return another reply, or raise: then no answer comes."""

    def __init__(self, settings: CASettings | None = None, seed: int = 1) -> None:
        self.clock = Clock()
        self.clock.advance(NOW.timestamp())
        self.settings = CASettings(bad_nonce_rate=0.0) if settings is None else settings
        self.random = Random(seed)
        self.records: set[Dns01Record] = set()
        self.published: list[Sequence[Dns01Record]] = []
        self.withdrawn: list[Sequence[Dns01Record]] = []
        self.requests: list[tuple[str, str]] = []
        self.spoil: Callable[[str, str, Reply], Reply] = lambda _method, _path, reply: reply
        self.authority = CertificateAuthority(root(), NOW)
        self.forget()

    def forget(self) -> None:
        """What a restart does: accounts, orders and nonces are gone."""
        # 24 characters: base64url without spare bits, as a nonce has to be
        numbers = count(self.random.randrange(1 << 40))
        self.database = Database(lambda: f"{next(numbers):024d}")
        self.front_end = FrontEnd(
            CAContext(
                BASE,
                self.database,
                self.authority,
                self.settings,
                self.clock.seconds,
                self.random,
                self._validate,
            )
        )

    def client(self, **options: object) -> AcmeClient:
        """A client of this CA."""
        return AcmeClient(self.clock, DIRECTORY, ACCOUNT_KEY, agent=self, random=Random(2), **options)

    async def publish(self, records: Sequence[Dns01Record]) -> None:
        self.published.append(records)
        self.records.update(records)

    async def withdraw(self, records: Sequence[Dns01Record]) -> None:
        self.withdrawn.append(records)
        self.records.difference_update(records)

    def request(self, method, uri, headers=None, bodyProducer=None) -> Deferred[IResponse]:
        path = uri.decode().removeprefix(BASE)
        self.requests.append((method.decode(), path))
        sink = _Sink()
        if bodyProducer is not None:
            bodyProducer.startProducing(sink)
        media_type = (headers.getRawHeaders("Content-Type") or [""])[0]
        reply = self.front_end.answer(method.decode(), path, media_type, sink.body)
        try:
            reply = self.spoil(method.decode(), path, reply)
        except Exception:
            return fail()
        return succeed(MemoryResponse(reply))

    def run(self, work: Deferred, seconds: float = 600.0) -> Deferred:
        """Let time pass until the work is done."""
        for _ in range(int(seconds * 10)):
            if work.called:
                break
            self.clock.advance(0.1)
        return work

    def _validate(self, identifier: str) -> None:
        found = self.database.authorizations.get(identifier)
        account = self.database.accounts.get(found.account_id)
        expected = Dns01Record(found.name, expected_value(found.token, account.key))
        if expected in self.records:
            found.validated = self.clock.seconds()
        else:
            problem = Problem("unauthorized", f"no such TXT value for {found.name}")
            found.failed(problem, tries_again=self.settings.tries_again)
