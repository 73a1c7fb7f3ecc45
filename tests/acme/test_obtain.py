"""Whole orders against the development CA's front end, in memory, well-behaved and not."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as TwistedConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeError,
    AcmeMisbehaved,
    AcmeRateLimited,
    AcmeRefused,
    AcmeServerTrouble,
    AcmeTimedOut,
    AcmeUnreachable,
    AcmeUsageError,
    AcmeValidationFailed,
    Deadline,
    Dns01Record,
    complete,
    obtain,
)
from nodetrust.acme.errors import AcmeBadNonce, AcmeOrderNotReady
from nodetrust.acme.retries import LOOK_AGAIN_PAUSES
from nodetrust.acme.transport import MAX_BODY_BYTES
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.reply import Reply
from nodetrust.testing.ca.settings import CASettings
from tests.acme.support import BASE, NOW, MemoryCA, csr

NAMES = ("ip41-2-3-4.nt.example", "pabc.nt.example", "*.pabc.nt.example")
UNSPOILT = MemoryCA().spoil
PROBLEM = {"Content-Type": "application/problem+json"}


def problem_reply(kind: str, status: int = 400, **headers: str) -> Reply:
    """A problem document with further headers."""
    return Reply(status, Problem(kind, "because", status).body(), {**PROBLEM, **headers})


def show(reply: Reply, **changes: object) -> Reply:
    """The same document with other fields; None takes one out."""
    fields = {**json.loads(reply.body), **changes}
    return replace(reply, body=json.dumps({k: v for k, v in fields.items() if v is not None}).encode())


class OrderCase(SynchronousTestCase):
    """Runs `obtain` against a `MemoryCA`."""

    def setUp(self) -> None:
        self.ca = MemoryCA()
        self.client = self.ca.client()

    def obtaining(self, names=NAMES, **options) -> Deferred:
        """A whole order, for which the time it wants has passed."""
        options = {"publish": self.ca.publish, "withdraw": self.ca.withdraw, "csr_der": csr(names), **options}
        return self.ca.run(Deferred.fromCoroutine(obtain(self.client, names, **options)))

    def placed(self, names=NAMES, **options) -> str:
        """The URL of a new order."""
        placing = self.client.new_order(names, Deadline(self.ca.clock, 60), **options)
        return self.successResultOf(self.ca.run(Deferred.fromCoroutine(placing))).url

    def completing(self, url: str, names=NAMES, **options) -> Deferred:
        """An order that was placed before, for which the time it wants has passed."""
        options = {"publish": self.ca.publish, "withdraw": self.ca.withdraw, "csr_der": csr(names), **options}
        return self.ca.run(Deferred.fromCoroutine(complete(self.client, url, names, **options)))

    def spoil(self, path: str | tuple[str, ...], change: Callable[[Reply], Reply], times: int = 1_000_000) -> None:
        """Change the answers to requests whose path begins so, at most that many times."""
        left = [times]

        def spoil(method: str, asked: str, reply: Reply) -> Reply:
            if asked.startswith(path) and left[0] > 0:
                left[0] -= 1
                return change(reply)
            return reply

        self.ca.spoil = spoil


class OrderTests(OrderCase):
    """What a CA in good order lets happen."""

    def test_certificate(self) -> None:
        """The certificate has the CSR's key and the names of the order, and comes with its issuer."""
        issued = self.successResultOf(self.obtaining())
        leaf, issuer = x509.load_pem_x509_certificates(issued.chain_pem)
        leaf.verify_directly_issued_by(issuer)
        self.assertEqual(issued.names, NAMES)
        self.assertEqual(issued.not_after, NOW + timedelta(days=90))

    def test_all_challenges_at_once(self) -> None:
        """`publish` is called once, with two values for the name that is ordered plain and as a wildcard."""
        self.successResultOf(self.obtaining())
        (records,) = self.ca.published
        self.assertEqual(
            sorted(record.fqdn for record in records), ["ip41-2-3-4.nt.example", "pabc.nt.example", "pabc.nt.example"]
        )
        self.assertEqual(len(set(records)), 3)
        self.assertEqual(records[0].record_name, f"_acme-challenge.{records[0].fqdn}")
        self.assertEqual(self.ca.withdrawn, self.ca.published)
        self.assertEqual(self.ca.records, set())

    def test_valid_authorizations_are_skipped(self) -> None:
        """A second order whose authorizations the CA reuses publishes nothing."""
        self.ca.settings = CASettings(bad_nonce_rate=0, authorization_reuse=1)
        self.ca.forget()
        self.successResultOf(self.obtaining())
        self.successResultOf(self.obtaining())
        self.assertEqual(len(self.ca.published), 1)
        self.assertEqual(len(self.ca.withdrawn), 1)

    def test_nine_nonces_in_ten_refused(self) -> None:
        """A CA that refuses 90 % of good nonces delays an order and does not fail it; ten in a row succeed."""
        self.ca.settings = CASettings(bad_nonce_rate=0.9)
        self.ca.forget()
        for _ in range(10):
            self.successResultOf(self.obtaining())

    def test_one_account(self) -> None:
        """Two orders register once, and a client with the same key finds the account again."""
        self.successResultOf(self.obtaining())
        self.successResultOf(self.obtaining())
        url = self.client.account_url
        self.assertEqual(self.ca.requests.count(("POST", "/new-account")), 1)
        again = self.ca.client()
        found = self.successResultOf(Deferred.fromCoroutine(again.register(Deadline(self.ca.clock, 10))))
        self.assertEqual(found, url)

    def test_profile_is_always_named(self) -> None:
        """Without a choice the order has the profile `default`; a chosen one decides the lifetime."""
        self.assertEqual(self.successResultOf(self.obtaining()).not_after, NOW + timedelta(days=90))
        issued = self.successResultOf(self.obtaining(profile="shortlived"))
        self.assertLess(issued.not_after, NOW + timedelta(days=7))
        self.failureResultOf(self.obtaining(profile="nonesuch"), AcmeUsageError)

    def test_renewal_window(self) -> None:
        """renewalInfo of an issued certificate says when to renew."""
        issued = self.successResultOf(self.obtaining())
        asked = Deferred.fromCoroutine(self.client.renewal_window(issued.certificate_pem, Deadline(self.ca.clock, 10)))
        window, again = self.successResultOf(asked)
        self.assertEqual(again, 21_600)
        self.assertTrue(issued.not_before < window.start < window.end < issued.not_after)
        self.ca.forget()
        asked = Deferred.fromCoroutine(self.client.renewal_window(issued.certificate_pem, Deadline(self.ca.clock, 10)))
        self.assertIsNone(self.successResultOf(asked))


class SlowTests(OrderCase):
    """A CA that issues after it has answered, as the big ones do."""

    def slow(self, then: Callable[[Reply], Reply]) -> None:
        """finalize and two polls show `processing`; what comes after is up to `then`."""
        polls = [0]

        def spoil(method: str, path: str, reply: Reply) -> Reply:
            if path.startswith("/finalize/"):
                polls[0] = 1
                return show(reply, status="processing", certificate=None)
            if path.startswith("/order/") and polls[0]:
                polls[0] += 1
                processing = show(reply, status="processing", certificate=None)
                return processing if polls[0] <= 3 else then(reply)
            return reply

        self.ca.spoil = spoil

    def test_processing(self) -> None:
        """An order that is `processing` after finalize is polled until it is valid."""
        self.slow(lambda reply: reply)
        self.successResultOf(self.obtaining())

    def test_invalid_in_the_end(self) -> None:
        """The reason of an order that becomes invalid is told."""
        problem = Problem("caa", "CAA forbids it", 403).document()
        self.slow(lambda reply: show(reply, status="invalid", certificate=None, error=problem))
        failure = self.failureResultOf(self.obtaining(), AcmeValidationFailed)
        self.assertIn("CAA forbids it", str(failure.value))

    def test_invalid_without_reason(self) -> None:
        """An order can become invalid without a word."""
        self.slow(lambda reply: show(reply, status="invalid", certificate=None))
        self.failureResultOf(self.obtaining(), AcmeValidationFailed)

    def test_taken_back(self) -> None:
        """An order that falls back to `ready` is not polled for ever."""
        self.slow(lambda reply: show(reply, status="ready", certificate=None))
        self.failureResultOf(self.obtaining(), AcmeMisbehaved)

    def test_finalized_too_early(self) -> None:
        """`orderNotReady` for an order that is not valid either is an error."""
        self.ca.spoil = lambda method, path, reply: (
            problem_reply("orderNotReady", 403)
            if path.startswith("/finalize/")
            else show(reply, status="ready", certificate=None)
            if path.startswith("/order/")
            else reply
        )
        self.failureResultOf(self.obtaining(), AcmeOrderNotReady)

    def test_no_renewal_info(self) -> None:
        """A CA without renewalInfo has no opinion."""
        issued = self.successResultOf(self.obtaining())
        self.spoil("/directory", lambda reply: show(reply, renewalInfo=None))
        asked = self.ca.client().renewal_window(issued.certificate_pem, Deadline(self.ca.clock, 10))
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(asked)))

    def test_no_nonce(self) -> None:
        """A CA that gives no nonce, or answers the question for one with an error, is told from one that works."""
        self.spoil("/nonce", lambda reply: replace(reply, headers={}))
        self.failureResultOf(self.obtaining(), AcmeMisbehaved)
        self.client = self.ca.client()
        self.spoil("/nonce", lambda reply: replace(reply, status=403, headers={}))
        self.failureResultOf(self.obtaining(), AcmeRefused)

    def test_directory_is_fetched_again(self) -> None:
        """The directory is believed for an hour."""
        for _ in range(2):
            self.successResultOf(self.obtaining())
        self.assertEqual(self.ca.requests.count(("GET", "/directory")), 1)
        self.ca.clock.advance(3700)
        self.successResultOf(self.obtaining())
        self.assertEqual(self.ca.requests.count(("GET", "/directory")), 2)


class RestartTests(OrderCase):
    """A CA that forgets."""

    def test_between_orders(self) -> None:
        """After a restart of the CA the account is made again, and the old nonces do no harm."""
        self.successResultOf(self.obtaining())
        self.ca.forget()
        self.successResultOf(self.obtaining())

    def test_while_publishing(self) -> None:
        """A restart in the middle of an order leads to a new order, and both publications are withdrawn."""

        async def publish(records) -> None:
            await self.ca.publish(records)
            if len(self.ca.published) == 1:
                self.ca.forget()

        self.successResultOf(self.obtaining(publish=publish))
        self.assertEqual((len(self.ca.published), len(self.ca.withdrawn)), (2, 2))

    def test_forgetful_for_ever(self) -> None:
        """A CA that forgets every order is given up after three."""

        async def publish(records) -> None:
            await self.ca.publish(records)
            self.ca.forget()

        self.failureResultOf(self.obtaining(publish=publish), AcmeError)
        self.assertEqual((len(self.ca.published), len(self.ca.withdrawn)), (3, 3))

    def test_answer_to_finalize_lost(self) -> None:
        """A finalize that arrived although its answer broke is not an error: the order is looked at again."""

        def broken(reply: Reply) -> Reply:
            raise TwistedConnectionRefusedError

        self.spoil("/finalize/", broken, times=1)
        self.successResultOf(self.obtaining())


class RefusalTests(OrderCase):
    """What a CA may refuse, and what is left behind: nothing."""

    def test_refused_name(self) -> None:
        """A name that the CA does not sign is an AcmeRefused with the CA's words; nothing was published."""
        self.ca.settings = CASettings(bad_nonce_rate=0, refused=("nt.example",))
        self.ca.forget()
        failure = self.failureResultOf(self.obtaining(), AcmeRefused)
        self.assertEqual(failure.value.kind, "rejectedIdentifier")
        self.assertIn("nt.example", str(failure.value))
        self.assertEqual(self.ca.published, [])

    def test_wrong_value(self) -> None:
        """Where the CA does not find the value, the error names it, and the records are withdrawn."""

        async def publish(records) -> None:
            self.ca.published.append(records)

        failure = self.failureResultOf(self.obtaining(publish=publish), AcmeValidationFailed)
        self.assertIn("nt.example", str(failure.value))
        self.assertEqual(self.ca.withdrawn, self.ca.published)

    def test_looked_too_early(self) -> None:
        """A CA that leaves a failed look at that is told to look again, until what it sees is the value."""
        self.ca.settings = CASettings(bad_nonce_rate=0, tries_again=True)
        self.ca.forget()

        async def publish(records) -> None:
            self.ca.clock.callLater(sum(LOOK_AGAIN_PAUSES) - 1, self.ca.records.update, records)

        issued = self.successResultOf(self.obtaining(publish=publish))
        self.assertEqual(issued.names, NAMES)
        looks = [path for method, path in self.ca.requests if path.startswith("/challenge")]
        self.assertEqual(len(looks), (1 + len(LOOK_AGAIN_PAUSES)) * len(NAMES))

    def test_never_there(self) -> None:
        """But not for ever: then the error has the CA's words, as where it decides at once."""
        self.ca.settings = CASettings(bad_nonce_rate=0, tries_again=True)
        self.ca.forget()

        async def publish(records) -> None:
            self.ca.published.append(records)

        begun = self.ca.clock.seconds()
        failure = self.failureResultOf(self.obtaining(publish=publish), AcmeValidationFailed)
        self.assertIn("the CA has not found the proof for ", str(failure.value))
        self.assertIn("no such TXT value", str(failure.value))
        self.assertLess(self.ca.clock.seconds() - begun, 2 * sum(LOOK_AGAIN_PAUSES))
        self.assertEqual(self.ca.withdrawn, self.ca.published)

    def test_publish_fails(self) -> None:
        """An error of `publish` arrives as it is, after `withdraw`; the CA was told nothing."""

        async def publish(records) -> None:
            raise RuntimeError("no DNS server")

        self.failureResultOf(self.obtaining(publish=publish), RuntimeError)
        self.assertEqual(len(self.ca.withdrawn), 1)
        self.assertFalse([path for _, path in self.ca.requests if path.startswith("/challenge")])

    def test_withdraw_fails(self) -> None:
        """An error of `withdraw` is logged, and the certificate is there."""

        async def withdraw(records) -> None:
            raise RuntimeError("no DNS server")

        self.successResultOf(self.obtaining(withdraw=withdraw))

    def test_publish_hangs(self) -> None:
        """The deadline ends a `publish` that never returns."""
        failure = self.failureResultOf(self.obtaining(publish=lambda _: Deferred(), timeout_seconds=20), AcmeTimedOut)
        self.assertIn("publishing", str(failure.value))
        self.assertEqual(len(self.ca.withdrawn), 1)

    def test_cancelled(self) -> None:
        """An order that is cancelled, wherever it is, withdraws what it published and leaves no timer behind."""

        for path, status in (("/authorization/", "pending"), (("/finalize/", "/order/"), "processing")):
            self.spoil(path, lambda reply, status=status: show(reply, status=status))
            before = len(self.ca.withdrawn)
            running = Deferred.fromCoroutine(
                obtain(self.client, NAMES, csr(NAMES), self.ca.publish, self.ca.withdraw, timeout_seconds=1e6)
            )
            self.ca.run(running, seconds=3)
            self.assertNoResult(running)
            running.cancel()
            self.failureResultOf(running, CancelledError)
            self.assertEqual(len(self.ca.withdrawn), before + 1, path)
            self.assertEqual(self.ca.clock.getDelayedCalls(), [])

    def test_rate_limit(self) -> None:
        """`rateLimited` is raised at once, with the CA's Retry-After, and not retried."""
        self.ca.settings = CASettings(bad_nonce_rate=0, rate_limited_seconds=77)
        self.ca.forget()
        failure = self.failureResultOf(self.obtaining(), AcmeRateLimited)
        self.assertEqual(failure.value.retry_after_seconds, 77)
        self.assertEqual(self.ca.requests.count(("POST", "/new-order")), 1)

    def test_busy(self) -> None:
        """429 and 503 with Retry-After are rate limits whatever their body; a short wait is waited for, three times."""
        for status in (429, 503):
            for seconds, tries in (("9", 4), ("31", 1)):
                busy = Reply(status, b"<html>", {"Retry-After": seconds})
                self.spoil("/new-order", lambda _, busy=busy: busy)
                self.ca.requests.clear()
                failure = self.failureResultOf(self.obtaining(), AcmeRateLimited)
                self.assertEqual(failure.value.retry_after_seconds, float(seconds))
                self.assertEqual(self.ca.requests.count(("POST", "/new-order")), tries)

    def test_busy_for_a_while(self) -> None:
        """A 503 on any request delays an order, by what it asks for, and does not fail it."""
        for path in ("/directory", "/nonce", "/new-account", "/new-order", "/authorization/", "/challenge/"):
            self.client, before = self.ca.client(), self.ca.clock.seconds()
            self.spoil(path, lambda _: Reply(503, b"", {"Retry-After": "5"}), times=1)
            self.successResultOf(self.obtaining())
            self.assertGreaterEqual(self.ca.clock.seconds() - before, 5, path)

    def test_trouble_passes(self) -> None:
        """A few 500s and lost connections are sat out; when they last, there is an end to trying."""
        self.ca.settings = CASettings(bad_nonce_rate=0, lists_orders=False)
        self.ca.forget()
        for times, change in (
            (3, lambda _: Reply(500, b"oops", {"Content-Type": "text/plain"})),
            (3, self._refuse),
        ):
            self.spoil("/new-order", change, times)
            self.successResultOf(self.obtaining())
        self.spoil("/new-order", lambda _: problem_reply("serverInternal", 500))
        before = len(self.ca.requests)
        self.failureResultOf(self.obtaining(), AcmeServerTrouble)
        self.assertLess(len(self.ca.requests) - before, 20)

    def test_nothing_is_ordered_twice(self) -> None:
        """Where the answer to newOrder is lost, the order is found in the account's list, and none is added."""
        for change in (self._refuse, lambda _: Reply(502, b"<html>", {"Content-Type": "text/html"})):
            self.spoil("/new-order", change, times=1)
            self.successResultOf(self.obtaining())
            self.assertEqual(self.ca.requests.count(("POST", "/new-order")), 1)
            self.ca.requests.clear()

    def test_unreachable(self) -> None:
        """A CA that is not there is AcmeUnreachable, with a message that names it."""
        self.spoil("/", self._refuse)
        failure = self.failureResultOf(self.obtaining(), AcmeUnreachable)
        self.assertIn("ca.example", str(failure.value))

    def test_replaces_is_dropped(self) -> None:
        """A CA that refuses `replaces`, in whatever words, gets the same order without it."""
        for kind, status in (("malformed", 400), ("alreadyReplaced", 409), ("unauthorized", 403), ("conflict", 409)):
            refused = problem_reply(kind, status)
            self.spoil("/new-order", lambda _, refused=refused: refused, times=1)
            self.successResultOf(self.obtaining(replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"))

    def test_other_refusals_stand(self) -> None:
        """What has nothing to do with `replaces` is not asked twice."""
        self.spoil("/new-order", lambda _: problem_reply("rejectedIdentifier"))
        self.failureResultOf(self.obtaining(replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"), AcmeRefused)
        self.assertEqual(self.ca.requests.count(("POST", "/new-order")), 1)

    def _refuse(self, reply: Reply) -> Reply:
        raise TwistedConnectionRefusedError


class HostileTests(OrderCase):
    """What a CA must not do to us."""

    def test_wrong_certificates(self) -> None:
        """A certificate for another key, other names, another time, or a chain out of order is not handed out."""
        other_key = x509.load_der_x509_csr(csr(NAMES, ec.generate_private_key(ec.SECP256R1())))
        ours = x509.load_der_x509_csr(csr(NAMES))
        life = timedelta(days=90)

        def issue(request=ours, names=NAMES, now=NOW, life=life) -> bytes:
            return self.ca.authority.issue(request, names, now, life)

        good = issue()
        leaf_end = good.index(b"-----END CERTIFICATE-----\n") + 26
        for wrong, chain in {
            "key": issue(other_key),
            "fewer names": issue(names=NAMES[:2]),
            "more names": issue(names=(*NAMES, "b.example")),
            "future": issue(now=NOW + timedelta(days=2)),
            "past": issue(now=NOW - timedelta(days=100)),
            "too long": issue(life=timedelta(days=20_000)),
            "order": good[leaf_end:] + good[:leaf_end],
            "issuer first": good[:leaf_end] + good,
            "empty": b"",
            "text before": b"hello\n" + good,
            "text between": good[:leaf_end] + b"x\n" + good[leaf_end:],
            "too many": good * 6,
            "damaged": good.replace(b"MII", b"AII"),
        }.items():
            self.spoil("/certificate/", lambda reply, chain=chain: replace(reply, body=chain))
            failure = self.failureResultOf(self.obtaining(), AcmeMisbehaved)
            self.assertIn("certificate", str(failure.value), wrong)
        self.spoil("/certificate/", lambda reply: replace(reply, body=good))
        self.successResultOf(self.obtaining())

    def test_bad_nonces_for_ever(self) -> None:
        """A CA that never accepts a nonce is given up within the limit of tries."""
        self.ca.settings = CASettings(bad_nonce_rate=1)
        self.ca.forget()
        self.failureResultOf(self.obtaining(), AcmeBadNonce)
        self.assertLess(len(self.ca.requests), 210)

    def test_spoilt_answers(self) -> None:
        """Redirects, compression, huge bodies, other types and broken JSON are refused on every kind of answer."""
        huge = b" " * MAX_BODY_BYTES
        spoilers: dict[str, Callable[[Reply], Reply]] = {
            "redirect": lambda reply: replace(reply, status=302, headers={"Location": BASE}),
            "gzip": lambda reply: replace(
                reply, body=gzip.compress(reply.body), headers={**reply.headers, "Content-Encoding": "gzip"}
            ),
            "huge": lambda reply: replace(reply, body=reply.body + huge),
            "html": lambda reply: replace(reply, headers={**reply.headers, "Content-Type": "text/html"}),
            "truncated": lambda reply: replace(reply, body=reply.body[:-2]),
            "not JSON": lambda reply: replace(reply, body=b"\xff" * 10),
            "deep": lambda reply: replace(reply, body=b"[" * 100_000),
        }
        for path in ("/directory", "/new-order", "/order/", "/authorization/", "/finalize/", "/certificate/"):
            for name, spoiler in spoilers.items():
                if (path, name) == ("/certificate/", "truncated"):
                    continue  # the newline and one hyphen: found by test_wrong_certificates
                self.client, self.ca.spoil = self.ca.client(), UNSPOILT
                url = self.placed() if path == "/order/" else ""
                self.spoil(path, spoiler)
                failed = self.completing(url) if url else self.obtaining()
                failure = self.failureResultOf(failed, AcmeMisbehaved)
                self.assertTrue(str(failure.value).isprintable(), (path, name))

    def test_urls_of_others(self) -> None:
        """A URL of another scheme, host or port is never asked, wherever the CA sends it."""
        for evil in ("http://ca.example/x", "https://evil.example/x", "https://ca.example:444/x", "file:///x", 7, None):
            for path, change in {
                "/directory": {"newOrder": evil},
                "/new-order": {"finalize": evil},
                "/finalize/": {"certificate": evil or 7},
                "/authorization/": {"challenges": [{"type": "dns-01", "url": evil, "token": "A" * 22}]},
            }.items():
                self.client = self.ca.client()

                def spoiled(reply: Reply, change=change) -> Reply:
                    return replace(reply, body=json.dumps({**json.loads(reply.body), **change}).encode())

                self.spoil(path, spoiled)
                self.failureResultOf(self.obtaining(), AcmeMisbehaved)
            self.client = self.ca.client()
            self.spoil("/new-account", lambda r, evil=evil: replace(r, headers={**r.headers, "Location": str(evil)}))
            self.failureResultOf(self.obtaining(), AcmeMisbehaved)

    def test_order_for_other_names(self) -> None:
        """An order or an authorization for a name that we did not ask for ends the matter; nothing is published."""
        for path, change in {
            "/new-order": {"identifiers": [{"type": "dns", "value": "victim.example"}]},
            "/authorization/": {"identifier": {"type": "dns", "value": "victim.example"}},
        }.items():
            self.spoil(path, lambda r, c=change: replace(r, body=json.dumps({**json.loads(r.body), **c}).encode()))
            self.failureResultOf(self.obtaining(), AcmeMisbehaved)
        self.assertEqual(self.ca.published, [])

    def test_never_done(self) -> None:
        """An order that stays `processing` ends at the deadline, after a number of polls that is no hammering."""

        url = self.placed()
        self.spoil("/order/", lambda reply: show(reply, status="processing"))
        failure = self.failureResultOf(self.completing(url, timeout_seconds=300), AcmeTimedOut)
        self.assertIn("process the order", str(failure.value))
        self.assertLess(len(self.ca.requests), 100)

    def test_words_of_the_ca(self) -> None:
        """A CA's own text is cut and stripped of what a terminal would obey."""
        document = json.dumps({"type": "x", "detail": "\x1b[31m" + "a" * 10_000}).encode()
        self.spoil("/new-order", lambda _: Reply(400, document, PROBLEM))
        failure = self.failureResultOf(self.obtaining(), AcmeRefused)
        self.assertTrue(str(failure.value).isprintable())
        self.assertLess(len(str(failure.value)), 700)


class UsageTests(OrderCase):
    """What is refused before the CA hears of it."""

    def test_csr(self) -> None:
        """The CSR must be one, and for exactly the names of the order."""
        broken = csr(NAMES)[:-4] + bytes(4)
        for der in (b"", b"\x30\x00", broken, csr(()), csr(NAMES[:2]), csr([*NAMES, "b.example"])):
            self.failureResultOf(self.obtaining(csr_der=der), AcmeUsageError)
        self.assertEqual(self.ca.requests, [])

    def test_names(self) -> None:
        """No names, too many, or one twice."""
        for names in ((), ("a.example", "a.example"), tuple(f"a{n}.example" for n in range(101))):
            self.failureResultOf(self.obtaining(names, csr_der=csr(("a.example",))), AcmeUsageError)

    def test_record_is_a_pair(self) -> None:
        """A record unpacks into name and value."""
        name, value = Dns01Record("a.example", "v")
        self.assertEqual((name, value), ("a.example", "v"))
