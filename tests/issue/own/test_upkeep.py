"""The own certificate by a clock: the stored one, renewals, failures, and what a kill leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.certificates import Chain, key_from_pem, make_key
from nodetrust.issue.errors import Refusal
from nodetrust.issue.own.orders import OwnOrders
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.transports.errors import CertificateError
from nodetrust.messages import E_OTHER, E_RATE_LIMIT, ECDSA_P256, OK, IssueResponse
from nodetrust.own import upkeep
from nodetrust.own.files import NEXT_KEY_FILE, OWN_FILE, OwnCertificate, load, save
from nodetrust.own.plan import LOOK_SECONDS
from nodetrust.own.upkeep import OwnUpkeep, Self
from nodetrust.store import StoredCertificate, StoreError
from tests.dns.threads import ThreadlessClock

PEER = PrivateKey.generate().peer_id
NAMES = ("issue.nt.example.org",)
LIFE = timedelta(days=90)
DAY = 86400.0


def certificate(public_key, names, now):
    """A certificate that somebody signed."""
    signer = make_key(ECDSA_P256)
    return Chain(
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(signer, hashes.SHA256()),
        (),
    )


class Case(SynchronousTestCase):
    """With orders that are fulfilled at once, unless `refusal` is set."""

    def setUp(self):
        self.clock = ThreadlessClock()
        self.clock.advance(1_800_000_000)
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.orders, self.used = [], []
        self.other_key = False
        self.refusal = self.store_error = self.renew_at = None

    def now(self):
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    async def fulfil(self, order):
        self.orders.append(order)
        if self.refusal is not None:
            raise self.refusal
        csr = x509.load_der_x509_csr(order.csr.der)
        key = make_key(ECDSA_P256) if self.other_key else csr
        chain = certificate(key.public_key(), order.names, self.now())
        return IssueResponse(error=OK, chain=chain.full_pem)

    async def newest_for_names(self, peer_id, names):
        if self.store_error is not None:
            raise self.store_error
        if not self.used:
            return None
        chain = self.used[-1].chain
        life = (chain.not_before, chain.not_after)
        return StoredCertificate(
            peer_id, tuple(names), b"", ECDSA_P256, chain.leaf_pem, b"", *life, True, renew_at=self.renew_at
        )

    def begin(self):
        """An upkeep that runs, with what is on the disk."""
        who = Self("the issue server's own", NAMES, self.state)
        self.upkeep = OwnUpkeep(self.clock, who, OwnOrders(PEER, self, self.fulfil), self.used.append)
        self.upkeep.use_stored()
        self.running = Deferred.fromCoroutine(self.upkeep.run())
        self.addCleanup(self.end)

    def end(self):
        self.running.cancel()
        self.running.addErrback(lambda failure: failure.trap(CancelledError))

    def pass_days(self, days):
        self.clock.pump([LOOK_SECONDS] * round(days * DAY / LOOK_SECONDS))


class UpkeepTests(Case):
    def test_the_first(self):
        """It is ordered at once, as our own, served, and on the disk for us alone."""
        self.begin()
        (order,) = self.orders
        self.assertEqual((order.peer, order.names, order.own, order.addresses), (PEER, NAMES, True, ()))
        stored = load(self.state)
        self.assertEqual((stored.chain, [one.chain for one in self.used]), (self.used[0].chain, [self.used[0].chain]))
        self.assertEqual((self.state / OWN_FILE).stat().st_mode & 0o777, 0o600)
        self.assertFalse((self.state / NEXT_KEY_FILE).exists())

    def test_renewed(self):
        """After two thirds of its life and a little, with another key."""
        self.begin()
        self.pass_days(59)
        self.assertEqual(len(self.orders), 1)
        self.pass_days(6)
        self.assertEqual((len(self.orders), len(self.used)), (2, 2))
        self.assertNotEqual(*(order.csr.public_key_der for order in self.orders))
        self.pass_days(54)
        self.assertEqual(len(self.orders), 2)

    def test_renewed_when_the_ca_says(self):
        """Within an hour of when the CA has said so; a store that is away is asked again."""
        self.begin()
        self.store_error = StoreError("away")
        self.pass_days(10)
        self.store_error = None
        self.renew_at = self.now()
        self.assertEqual(len(self.orders), 1)
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(len(self.orders), 2)

    def test_a_restart(self):
        """What is on the disk is served, and nothing is ordered before it is time."""
        self.begin()
        self.end()
        self.begin()
        self.assertEqual((len(self.orders), len(self.used)), (1, 2))
        self.end()
        self.pass_days(59)
        self.begin()
        self.assertEqual((len(self.orders), len(self.used)), (1, 3))
        self.pass_days(6)
        self.assertEqual(len(self.orders), 2)

    def test_what_is_stored_is_of_no_use(self):
        """One that has ended is never served; one for other names until there is a better one; nor is a broken file."""
        old = make_key(ECDSA_P256)
        save(self.state, OwnCertificate(old, certificate(old.public_key(), NAMES, self.now() - LIFE)))
        self.begin()
        self.assertEqual((len(self.orders), len(self.used)), (1, 1))
        self.end()
        save(self.state, OwnCertificate(old, certificate(old.public_key(), ["old.nt.example.org"], self.now())))
        self.begin()
        self.assertEqual((len(self.orders), len(self.used)), (2, 3))
        self.end()
        for content in (b"", b"nonsense", (self.state / OWN_FILE).read_bytes()[:-300]):
            (self.state / OWN_FILE).write_bytes(content)
            orders = len(self.orders)
            with capturedLogs() as logs:
                self.begin()
            self.end()
            self.assertEqual(len(self.orders), orders + 1)
            self.assertEqual(logs[0]["log_level"], LogLevel.warn)

    def test_a_kill_between_order_and_certificate(self):
        """The next life orders for the same key: it gets the same certificate, should the CA have signed it."""
        self.refusal = Refusal(E_OTHER, "not now")
        with capturedLogs():
            self.begin()
        self.end()
        key = key_from_pem((self.state / NEXT_KEY_FILE).read_bytes())
        self.refusal = None
        self.begin()
        first, second = self.orders
        self.assertEqual(first.csr.public_key_der, second.csr.public_key_der)
        self.assertTrue(self.used[-1].chain.is_for(key))


class FailureTests(Case):
    def test_said_and_tried_again(self):
        """The old certificate is served on; the log says each time how long it is still good."""
        self.begin()
        self.refusal = Refusal(E_RATE_LIMIT, "no room", 7200.0)
        with capturedLogs() as logs:
            self.pass_days(67)
        errors = [event for event in logs if event["log_level"] is LogLevel.error]
        self.assertGreater(len(errors), 24)
        self.assertIn("no room", errors[0]["reason"])
        self.assertIn("good for", errors[0]["left"])
        self.assertEqual(len(self.used), 1)
        self.refusal = None
        self.clock.pump([60] * 90)
        self.assertEqual(len(self.used), 2)

    def test_a_certificate_that_is_not_ours(self):
        """One for another key is no certificate."""
        self.other_key = True
        with capturedLogs() as logs:
            self.begin()
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.error])
        self.assertEqual(self.used, [])
        self.other_key = False
        self.clock.pump([60, 10])
        self.assertEqual(len(self.used), 1)

    def test_tls_cannot_use_it(self):
        """Then it is not kept."""

        def refuse(own):
            raise CertificateError("no")

        self.used = type("Used", (list,), {"append": staticmethod(refuse)})()
        with capturedLogs() as logs:
            self.begin()
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.error])
        self.assertFalse((self.state / OWN_FILE).exists())

    def test_a_full_disk(self):
        """The certificate is served all the same, and ordered again when there is room; it is said."""

        def full(state, own):
            raise OSError(28, "No space left on device")

        self.patch(upkeep, "save", full)
        with capturedLogs() as logs:
            self.begin()
        self.assertEqual(len(self.used), 1)
        self.assertIn("No space left", next(event for event in logs if event["log_level"] is LogLevel.error)["reason"])
