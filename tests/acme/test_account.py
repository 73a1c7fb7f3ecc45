"""An account's life, against the development CA in memory; above all a key rollover that is cut anywhere."""

from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost

from nodetrust.acme import (
    AcmeAccountRefused,
    AcmeAlreadyRevoked,
    AcmeClient,
    AcmeMisbehaved,
    AcmeRefused,
    AcmeTimedOut,
    AcmeUsageError,
    AcmeUserActionRequired,
    Deadline,
    certificate_key_from_pem,
    generate_account_key,
)
from nodetrust.acme.transport import MAX_CONNECTIONS
from nodetrust.testing.ca.reply import Reply
from tests.acme.support import DIRECTORY, KEY
from tests.acme.test_jws import pem_of
from tests.acme.test_obtain import UNSPOILT, OrderCase, problem_reply, show


class AccountCase(OrderCase):
    """Requests about an account."""

    def done(self, work) -> object:
        """The result of a coroutine, for which the time it wants has passed."""
        return self.successResultOf(self.ca.run(Deferred.fromCoroutine(work)))

    def failed(self, work, kind: type[Exception]) -> Exception:
        """The error of this kind that it ends in."""
        return self.failureResultOf(self.ca.run(Deferred.fromCoroutine(work)), kind).value

    def soon(self) -> Deadline:
        return Deadline(self.ca.clock, 60)

    def client_of(self, key, **options) -> AcmeClient:
        return AcmeClient(self.ca.clock, DIRECTORY, key, agent=self.ca, random=self.ca.random, **options)


class AccountTests(AccountCase):
    """RFC 8555 §7.3."""

    def test_existing_only(self) -> None:
        """Looking for an account makes none."""
        self.assertIsNone(self.done(self.client.find_account(self.soon())))
        url = self.done(self.client.register(self.soon()))
        self.assertEqual(self.done(self.ca.client().find_account(self.soon())), url)

    def test_terms(self) -> None:
        """Without agreement there is no account, and the error is one that an operator has to deal with."""
        client = self.ca.client(agree_to_terms=False)
        self.failed(client.register(self.soon()), AcmeUserActionRequired)
        self.assertIn("development", self.done(client.directory(self.soon())).terms_of_service)

    def test_contact(self) -> None:
        """The new contacts are the CA's, and go along when the account has to be made again."""
        self.done(self.client.update_contact(["mailto:b@x"], self.soon()))
        self.assertEqual(self.done(self.client.account(self.soon())).contact, ("mailto:b@x",))
        self.ca.forget()
        self.assertEqual(self.done(self.client.account(self.soon())).contact, ("mailto:b@x",))

    def test_deactivation(self) -> None:
        """A deactivated account is not made again behind the operator's back."""
        self.failed(self.client.deactivate(self.soon()), AcmeUsageError)
        self.done(self.client.register(self.soon()))
        self.done(self.client.deactivate(self.soon()))
        self.failureResultOf(self.obtaining(), AcmeRefused)
        self.failed(self.ca.client().register(self.soon()), AcmeAccountRefused)

    def test_one_account_for_many_orders(self) -> None:
        """A hundred orders that begin at once make one account, and no stack is too deep for them."""
        orders = [Deferred.fromCoroutine(self.client.new_order((f"a{n}.example",), self.soon())) for n in range(100)]
        for order in orders:
            self.successResultOf(self.ca.run(order))
        self.assertEqual(self.ca.requests.count(("POST", "/new-account")), 1)


class TurnTests(AccountCase):
    """Requests beyond those that may fly at once."""

    def test_waiting_ends(self) -> None:
        """Who waits for a turn can be cancelled, and runs out of time, without taking a turn from anybody."""
        self.done(self.client.register(self.soon()))
        hanging: list[Deferred] = []

        def request(*_: object) -> Deferred:
            hanging.append(Deferred())
            return hanging[-1]

        answer, self.ca.request = self.ca.request, request
        flying = [Deferred.fromCoroutine(self.client.account(self.soon())) for _ in range(MAX_CONNECTIONS)]
        late = Deferred.fromCoroutine(self.client.account(Deadline(self.ca.clock, 5)))
        cancelled = Deferred.fromCoroutine(self.client.account(self.soon()))
        self.assertEqual(len(hanging), MAX_CONNECTIONS)
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.ca.clock.advance(6)
        self.failureResultOf(late, AcmeTimedOut)
        self.ca.request = answer
        for one in flying:
            one.cancel()
            self.failureResultOf(one, CancelledError)
        self.successResultOf(self.obtaining())
        self.assertEqual(self.ca.clock.getDelayedCalls(), [])


class RolloverTests(AccountCase):
    """RFC 8555 §7.3.5."""

    def setUp(self) -> None:
        super().setUp()
        self.old, self.new = self.client.account_key, generate_account_key()
        self.url = self.done(self.client.register(self.soon()))

    def check_rolled(self, client: AcmeClient) -> None:
        """The client has the account with the new key, and the old key is nobody's."""
        self.assertEqual((client.account_key, client.account_url), (self.new, self.url))
        self.assertIsNone(self.done(self.client_of(self.old).find_account(self.soon())))
        self.client = client
        self.successResultOf(self.obtaining())

    def test_rollover(self) -> None:
        """The account, and what it may order, is the new key's."""
        self.done(self.client.change_key(self.new, self.soon()))
        self.check_rolled(self.client)

    def test_cut_anywhere(self) -> None:
        """Whichever request was the last, sent or answered, a later life with the same two keys ends the rollover."""
        cuts = 0
        while True:
            self.setUp()
            if not self.cut_after(cuts):
                break
            for known in (self.url, None):
                later = self.client_of(self.old, account_url=known)
                self.done(later.change_key(self.new, self.soon()))
                self.check_rolled(later)
            cuts += 1
        self.assertGreaterEqual(cuts, 3)

    def cut_after(self, answers: int) -> bool:
        """Roll over, with a CA that falls silent after so many answers; False if that was enough to be done."""
        left = [answers]

        def silent(method: str, path: str, reply: Reply) -> Reply:
            left[0] -= 1
            if left[0] < 0:
                raise ConnectionLost
            return reply

        self.ca.spoil = silent
        running = Deferred.fromCoroutine(self.client_of(self.old).change_key(self.new, self.soon()))
        self.ca.run(running, seconds=0.3)
        self.ca.spoil = UNSPOILT
        if running.called:
            self.successResultOf(running)
            return False
        running.cancel()
        self.failureResultOf(running, CancelledError)
        return True

    def test_refused(self) -> None:
        """A refusal is raised as it is, and the old key stays."""
        p384 = certificate_key_from_pem(pem_of(ec.generate_private_key(ec.SECP384R1())))
        self.failed(self.client.change_key(p384, self.soon()), AcmeAccountRefused)
        self.assertEqual(self.client.account_key, self.old)
        self.done(self.client.account(self.soon()))

    def test_key_of_another_account(self) -> None:
        """A key that has an account is not taken, even by a CA that says so."""
        other = self.client_of(self.new)
        self.done(other.register(self.soon()))
        self.failed(self.client.change_key(self.new, self.soon()), AcmeAccountRefused)
        self.spoil("/key-change", lambda reply: Reply(200, b"", {}))
        self.failed(self.client.change_key(self.new, self.soon()), AcmeAccountRefused)
        self.assertEqual(self.client.account_key, self.old)
        self.done(self.client.account(self.soon()))

    def test_liar(self) -> None:
        """A CA that says yes and does not know the new key is not believed: the old one stays."""
        self.spoil("/new-account", lambda _: problem_reply("accountDoesNotExist"))
        self.failed(self.client.change_key(self.new, self.soon()), AcmeMisbehaved)
        self.assertEqual(self.client.account_key, self.old)

    def test_nothing_to_roll(self) -> None:
        """Without an account of either key, or a CA that changes keys, nothing is made up."""
        self.ca.forget()
        self.failed(self.client_of(self.old).change_key(self.new, self.soon()), AcmeUsageError)
        self.spoil("/directory", lambda reply: show(reply, keyChange=None))
        self.failed(self.client_of(self.old).change_key(self.new, self.soon()), AcmeUsageError)


class RevocationTests(AccountCase):
    """RFC 8555 §7.6."""

    def test_both_ways(self) -> None:
        """By the account and by the certificate's key; the second time it is AcmeAlreadyRevoked."""
        for key in (None, certificate_key_from_pem(pem_of(KEY))):
            issued = self.successResultOf(self.obtaining())
            self.done(self.client.revoke(issued.certificate_pem, self.soon(), reason=1, key=key))
            self.failed(self.client.revoke(issued.certificate_pem, self.soon(), key=key), AcmeAlreadyRevoked)

    def test_answer_lost(self) -> None:
        """A revocation that was done although its answer was lost is AcmeAlreadyRevoked: it is done."""
        issued = self.successResultOf(self.obtaining())

        def lost(reply: Reply) -> Reply:
            raise ConnectionLost

        self.spoil("/revoke", lost, times=1)
        self.failed(self.client.revoke(issued.certificate_pem, self.soon()), AcmeAlreadyRevoked)

    def test_refusals(self) -> None:
        """Other keys are refused by the CA; what is no certificate, or a CA that revokes none, by us."""
        issued = self.successResultOf(self.obtaining())
        other = generate_account_key()
        self.failed(self.client.revoke(issued.certificate_pem, self.soon(), key=other), AcmeRefused)
        self.failed(self.client_of(other).revoke(issued.certificate_pem, self.soon()), AcmeRefused)
        self.failed(self.client.revoke(b"garbage", self.soon()), AcmeUsageError)
        self.spoil("/directory", lambda reply: show(reply, revokeCert=None))
        self.failed(self.ca.client().revoke(issued.certificate_pem, self.soon()), AcmeUsageError)
