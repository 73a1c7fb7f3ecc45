"""Orders that are taken up in a later life, at every status, and orders whose URL was lost."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost

from nodetrust.acme import (
    AcmeError,
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeRefused,
    AcmeValidationFailed,
    Deadline,
    complete,
)
from nodetrust.testing.ca.reply import Reply
from nodetrust.testing.ca.settings import CASettings
from tests.acme.support import BASE, NOW, MemoryCA, csr
from tests.acme.test_obtain import NAMES, UNSPOILT, OrderCase, problem_reply, show


class TakeUpTests(OrderCase):
    """`complete` by URL, each time with a client that knows nothing of before."""

    def later(self, url: str, **options) -> Deferred:
        self.client = self.ca.client()
        self.ca.requests.clear()
        return self.completing(url, **options)

    def asked(self, path: str) -> int:
        """How many requests went to paths that begin so since the order was taken up."""
        return sum(asked.startswith(path) for _, asked in self.ca.requests)

    def cut(self, url: str, path: str) -> None:
        """An order that was worked on until this request was sent and no answer came."""
        dead = []

        def silent(method: str, asked: str, reply):
            if asked.startswith(path) or dead:
                dead.append(True)
                raise ConnectionLost
            return reply

        self.ca.spoil = silent
        running = Deferred.fromCoroutine(
            complete(self.client, url, NAMES, csr(NAMES), publish=self.ca.publish, withdraw=self.ca.withdraw)
        )
        self.ca.run(running, seconds=0.2)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.ca.spoil = MemoryCA().spoil

    def test_pending(self) -> None:
        """An order of which nothing was done is done."""
        url = self.placed()
        self.successResultOf(self.later(url))
        self.assertEqual(len(self.ca.published), 1)
        self.assertEqual(self.asked("/new-order"), 0)

    def test_after_any_request(self) -> None:
        """Wherever the first try was cut, the second ends in a certificate, without a new order."""
        for path in ("/authorization/", "/challenge/", "/order/", "/finalize/", "/certificate/"):
            url = self.placed()
            self.cut(url, path)
            issued = self.successResultOf(self.later(url))
            self.assertEqual(issued.names, NAMES, path)
            self.assertEqual(self.asked("/new-order"), 0)

    def test_what_the_ca_may_be_looking_for(self) -> None:
        """Records stay while the CA may be looking, and go when it has decided, or was never told."""
        for path, stays in (("/authorization/", False), ("/challenge/", True), ("/finalize/", False)):
            self.ca.records.clear()
            self.cut(self.placed(), path)
            self.assertEqual(bool(self.ca.records), stays, path)
        for fault, stays in (
            (problem_reply("serverInternal", 500), True),
            (Reply(429, b"", {"Retry-After": "60"}), True),
            (Reply(200, b"<html>", {"Content-Type": "text/html"}), True),
            (problem_reply("malformed", 404), False),
        ):
            self.ca.records.clear()
            self.ca.spoil = UNSPOILT
            url = self.placed()
            self.spoil("/challenge/", lambda _, fault=fault: fault)
            self.failureResultOf(self.completing(url), AcmeError)
            self.assertEqual(bool(self.ca.records), stays, fault)

    def test_finalized(self) -> None:
        """An order that is `valid` is downloaded: nothing is published, and nothing finalized."""
        url = self.placed()
        first = self.successResultOf(self.completing(url))
        self.ca.published.clear()
        again = self.successResultOf(self.later(url))
        self.assertEqual(again, first)
        self.assertEqual((self.ca.published, self.asked("/finalize/"), self.asked("/authorization/")), ([], 0, 0))

    def test_finalized_with_another_key(self) -> None:
        """A certificate for a key that is lost is no use: the order counts as lost."""
        url = self.placed()
        self.successResultOf(self.completing(url))
        self.failureResultOf(
            self.later(url, csr_der=csr(NAMES, ec.generate_private_key(ec.SECP256R1()))), AcmeOrderLost
        )

    def test_processing(self) -> None:
        """An order that is `processing` is waited for."""
        url = self.placed()
        self.successResultOf(self.completing(url))
        self.spoil("/order/", lambda reply: show(reply, status="processing", certificate=None), times=3)
        self.successResultOf(self.later(url))
        self.assertEqual((self.asked("/order/"), self.asked("/finalize/")), (4, 0))

    def test_challenge_in_progress(self) -> None:
        """A challenge of which the CA was told is not told again, but its value is published once more."""
        url = self.placed()
        processing = [{"type": "dns-01", "url": "https://ca.example/challenge/x", "token": "A" * 22}]
        processing[0]["status"] = "processing"
        self.spoil("/authorization/", lambda reply: show(reply, challenges=processing), times=3)
        running = self.later(url, timeout_seconds=5)
        self.failureResultOf(running)
        self.assertEqual((self.asked("/challenge/"), len(self.ca.published)), (0, 1))

    def test_second_answer_refused(self) -> None:
        """A CA that refuses a second go-ahead, the answer to the first having been lost, is only polled."""
        url = self.placed()
        self.spoil("/challenge/", lambda _: problem_reply("malformed"))
        self.successResultOf(self.completing(url))

    def test_challenge_refused(self) -> None:
        """A CA that refuses to look, and was not told before, has refused."""
        url = self.placed()
        refused = problem_reply("malformed")

        def spoil(method: str, path: str, reply: Reply) -> Reply:
            if path.startswith("/challenge/"):
                for _, authorization in self.ca.database.authorizations.items():
                    authorization.answered, authorization.problem, authorization.validated = False, None, None
                return refused
            return reply

        self.ca.spoil = spoil
        self.failureResultOf(self.completing(url), AcmeRefused)
        self.assertEqual(self.ca.withdrawn, self.ca.published)

    def test_invalid(self) -> None:
        """An order that failed says why."""
        url = self.placed()
        self.ca.publish = self.ca.withdraw
        self.failureResultOf(self.completing(url), AcmeValidationFailed)
        self.failureResultOf(self.later(url), AcmeValidationFailed)

    def test_forgotten(self) -> None:
        """An order that the CA knows no longer is lost, and none is placed in its stead."""
        url = self.placed()
        self.ca.forget()
        self.failureResultOf(self.later(url), AcmeOrderLost)
        self.assertEqual(self.asked("/new-order"), 0)

    def test_other_names(self) -> None:
        """An order for other names than the store says is not touched."""
        self.failureResultOf(self.later(self.placed(("a.example",))), AcmeMisbehaved)

    def test_url_of_others(self) -> None:
        """Only the CA itself is asked for the order."""
        self.failureResultOf(self.later("https://evil.example/order/1"), AcmeMisbehaved)


class FindTests(OrderCase):
    """`find_order`, for an order whose URL was lost with the answer."""

    def found(self, names=NAMES, **options) -> str | None:
        finding = self.ca.client().find_order(names, Deadline(self.ca.clock, 60), **options)
        order = self.successResultOf(self.ca.run(Deferred.fromCoroutine(finding)))
        return None if order is None else order.url

    def test_newest_untouched(self) -> None:
        """The newest order for just these names, wherever in the list; not one that is done or is known."""
        self.assertIsNone(self.found())
        self.successResultOf(self.completing(self.placed()))
        self.assertIsNone(self.found())
        first, second = self.placed(), self.placed()
        for n in range(5):
            self.placed((*NAMES, f"a{n}.example"))
        self.assertEqual(self.found(), second)
        self.assertEqual(self.found(tuple(reversed(NAMES)), besides={second}), first)
        self.assertIsNone(self.found(NAMES[:2]))

    def test_no_list(self) -> None:
        """Where the CA keeps no list, has lost it, or shows nonsense, nothing is found."""
        self.placed()
        self.spoil("/orders/", lambda _: problem_reply("malformed", 404))
        self.assertIsNone(self.found())
        self.spoil("/orders/", lambda reply: show(reply, orders=["https://evil.example/order/1"]))
        self.assertIsNone(self.found())
        self.ca.settings = CASettings(bad_nonce_rate=0, lists_orders=False)
        self.ca.forget()
        self.placed()
        self.assertIsNone(self.found())

    def test_endless_list(self) -> None:
        """A list that never ends is not followed for ever."""
        self.placed(("a.example",))
        account = self.client.account_url.rpartition("/")[2]
        link = f'<https://ca.example/orders/{account}>;rel="next"'
        self.spoil("/orders/", lambda reply: replace(reply, headers={**reply.headers, "Link": link}))
        self.assertIsNone(self.found())
        self.assertLess(len(self.ca.requests), 2000)


class ChainTests(OrderCase):
    """The choice between chains, by who signed the last certificate in them."""

    def offer(self, **alternates: Callable[[bytes], Reply]) -> None:
        """Have the CA offer these chains beside its own, made from its own."""
        links = ", ".join(f'<{BASE}/certificate/{name}>;rel="alternate"' for name in alternates)
        own = []

        def spoil(method: str, path: str, reply: Reply) -> Reply:
            name = path.removeprefix("/certificate/")
            if name in alternates:
                self.asked.append(name)
                return alternates[name](own[-1])
            if name != path:
                own.append(reply.body)
                return replace(reply, headers={**reply.headers, "Link": links})
            return reply

        self.asked: list[str] = []
        self.ca.spoil = spoil

    def chain(self, body: bytes) -> Reply:
        return Reply(200, body, {"Content-Type": "application/pem-certificate-chain"})

    def bare(self, own: bytes) -> Reply:
        """The certificate alone: signed by the intermediate, which counts as its root."""
        return self.chain(x509.load_pem_x509_certificate(own).public_bytes(serialization.Encoding.PEM))

    def longer(self, own: bytes) -> Reply:
        """The chain with the root."""
        return self.chain(own + self.ca.authority.root.pem)

    def test_by_name(self) -> None:
        """The first chain that fits is taken, and further ones are not even asked for."""
        self.offer(a=self.longer, b=self.bare, c=self.bare)
        issued = self.successResultOf(self.obtaining(chain="nodetrust development intermediate"))
        self.assertEqual((issued.issuers_pem, self.asked), (b"", ["a", "b"]))

    def test_own_chain(self) -> None:
        """Where the usual chain is the right one, or no chain is asked for, no other is looked at."""
        self.offer(a=self.bare)
        for chain in ("test root", ""):
            issued = self.successResultOf(self.obtaining(chain=chain))
            self.assertEqual((len(x509.load_pem_x509_certificates(issued.chain_pem)), self.asked), (2, []))

    def test_bad_chains(self) -> None:
        """Whatever is wrong with the others, the certificate is there: it was counted, and it is good."""
        other = self.ca.authority.issue(x509.load_der_x509_csr(csr(NAMES)), NAMES, NOW, timedelta(days=90))
        self.offer(
            a=lambda _: self.chain(b"garbage"),
            b=lambda _: problem_reply("malformed", 404),
            c=lambda _: self.bare(other),  # for the same key and names, but another certificate
            d=lambda own: self.chain(own * 6),
        )
        issued = self.successResultOf(self.obtaining(chain="nodetrust development intermediate"))
        self.assertEqual((len(x509.load_pem_x509_certificates(issued.chain_pem)), len(self.asked)), (2, 4))

    def test_endless(self) -> None:
        """Ten are looked at, however many there are."""
        self.offer(**{f"a{n}": self.longer for n in range(100)})
        self.successResultOf(self.obtaining(chain="nobody"))
        self.assertEqual(len(self.asked), 10)


class PersistTests(OrderCase):
    """dns-persist-01, as far as it does not need a CA that has it: those are in tests/interop."""

    def test_not_offered(self) -> None:
        """A CA that does not offer it gets dns-01."""
        self.successResultOf(self.obtaining(challenge="dns-persist-01"))
        self.assertEqual(len(self.ca.published), 1)

    def test_nothing_published(self) -> None:
        """Where it is offered for our account, nothing is published and nothing withdrawn."""
        url = self.placed()
        account_url = self.client.account_url

        def offer(reply: Reply) -> Reply:
            (value,) = json.loads(reply.body)["challenges"]
            zone = {"type": "dns-persist-01", "issuer-domain-names": ["ca.example"], "accounturi": account_url}
            return show(reply, challenges=[value, {"url": value["url"], "status": value["status"], **zone}])

        self.spoil("/authorization/", offer)
        running = self.completing(url, challenge="dns-persist-01", timeout_seconds=5)
        self.failureResultOf(running, AcmeValidationFailed)  # for this CA looks for dns-01 all the same
        self.assertEqual((self.ca.published, self.ca.withdrawn), ([], []))
