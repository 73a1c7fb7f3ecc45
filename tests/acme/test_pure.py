"""The decisions of the ACME client that need neither a CA nor a clock."""

from datetime import UTC, datetime
from random import Random

from acme import messages
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import (
    AcmeMisbehaved,
    AcmeUsageError,
)
from nodetrust.acme import errors as kinds
from nodetrust.acme.nonces import NoncePool
from nodetrust.acme.problems import PROBLEMS, Reaction, problem_inside, problem_of_response, reaction_to
from nodetrust.acme.profiles import choose_profile
from nodetrust.acme.retries import (
    MAX_BUSY_TRIES,
    MAX_NONCE_TRIES,
    MAX_TROUBLE_TRIES,
    Retries,
    parse_retry_after,
    poll_pause,
)
from nodetrust.acme.urls import Origin

ORIGIN = Origin.of_directory("https://ca.example/directory")
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class OriginTests(SynchronousTestCase):
    """The rule about URLs."""

    def test_directory(self) -> None:
        """https always, http only for this machine and only if allowed."""
        for good in ("https://ca.example", "https://ca.example:14000/dir", "https://[::1]:1/d"):
            Origin.of_directory(good)
        for bad in (
            "http://ca.example/d",
            "http://127.0.0.1/d",
            "ftp://ca.example",
            "ca.example",
            "",
            "https://",
            "https://a:x/",
        ):
            self.assertRaises(AcmeUsageError, Origin.of_directory, bad)
        for good in ("http://127.0.0.1:4000/d", "http://[::1]/d", "http://localhost/d"):
            Origin.of_directory(good, allow_loopback_http=True)
        self.assertRaises(AcmeUsageError, Origin.of_directory, "http://ca.example", allow_loopback_http=True)

    def test_default_ports(self) -> None:
        """A port that is not said is the scheme's own."""
        plain = Origin.of_directory("http://localhost/d", allow_loopback_http=True)
        self.assertEqual(plain.check("http://localhost:80/x"), "http://localhost:80/x")
        self.assertRaises(AcmeMisbehaved, plain.check, "http://localhost:443/x")

    def test_longest(self) -> None:
        """2048 characters, and not one more."""
        url = "https://ca.example/".ljust(2048, "a")
        self.assertEqual(ORIGIN.check(url), url)
        self.assertRaises(AcmeMisbehaved, ORIGIN.check, url + "a")

    def test_same_origin(self) -> None:
        """The default port and the case of the host make no difference; everything else does."""
        for same in ("https://ca.example/x", "https://ca.example:443/y?z", "https://CA.example/"):
            self.assertEqual(ORIGIN.check(same), same)
        for other in (
            "https://ca.example.evil/",
            "https://user@ca.example/",
            "https://evil.example\\@ca.example/",
            "https://ca.example:8443/",
            "http://ca.example/",
            "//ca.example/",
            "/x",
            "https://ca.example/\r\nX: y",
            "https://ca.example/ é",
            "https://ca.example/" + "a" * 3000,
            b"https://ca.example/",
            None,
        ):
            self.assertRaises(AcmeMisbehaved, ORIGIN.check, other)


class ProblemTests(SynchronousTestCase):
    """Problem documents → errors and what is done about them."""

    def test_every_type(self) -> None:
        """Each type in the table gives its error, and the error the reaction in the same row."""
        for kind, (error_class, reaction) in PROBLEMS.items():
            error = problem_of_response(400, None, {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "d"})
            self.assertIs(type(error), error_class)
            self.assertEqual(reaction_to(error), reaction)

    def test_status_decides_where_the_type_does_not(self) -> None:
        """404 is a lost order and 429 a rate limit whatever the document; unknown types fall back to the status."""
        for status, retry_after, expected in (
            (404, None, kinds.AcmeOrderLost),
            (429, None, kinds.AcmeRateLimited),
            (503, 5.0, kinds.AcmeRateLimited),
            (503, None, kinds.AcmeServerTrouble),
            (502, None, kinds.AcmeServerTrouble),
            (400, None, kinds.AcmeRefused),
        ):
            for document in (None, [], {"type": "about:blank"}, {"type": 7, "detail": ["x"], "subproblems": "y"}):
                self.assertIs(type(problem_of_response(status, retry_after, document)), expected)
        self.assertEqual(problem_of_response(429, None, None).retry_after_seconds, kinds.DEFAULT_RETRY_SECONDS)

    def test_subproblems(self) -> None:
        """The text names each refused identifier, and all are there as values; what is malformed is left out."""
        parts = [
            {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "no", "identifier": {"type": "dns", "value": name}}
            for kind, name in (("caa", "a.example"), ("dns", "b.example"))
        ]
        document = {"type": "urn:ietf:params:acme:error:compound", "detail": "several", "subproblems": parts}
        values = (kinds.Subproblem("caa", "no", "a.example"), kinds.Subproblem("dns", "no", "b.example"))
        for problem in (
            problem_of_response(400, None, {**document, "subproblems": [*parts, "x", 7, None]}),
            problem_of_response(429, None, document),
            problem_inside(
                "the CA made the order invalid", messages.Error.from_json({**document, "type": "about:blank"})
            ),
        ):
            self.assertIn("several; a.example: no; b.example: no", str(problem))
            self.assertEqual(problem.subproblems, values)
        bare = problem_of_response(400, None, {"subproblems": [{"identifier": "x", "detail": None}] * 1000})
        self.assertEqual(bare.subproblems, (kinds.Subproblem("", "", ""),) * 100)

    def test_where_a_person_must_look(self) -> None:
        """userActionRequired names the page, from the Link header or the document; other problems don't."""
        for kind, instance, see, shown in (
            ("userActionRequired", None, "https://x.example/terms", True),
            ("userActionRequired", "https://x.example/terms", None, True),
            ("userActionRequired", 7, None, False),
            ("malformed", "https://x.example/terms", None, False),
        ):
            document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "d", "instance": instance}
            problem = problem_of_response(403, None, document, see)
            self.assertEqual("https://x.example/terms" in str(problem), shown)

    def test_other_errors(self) -> None:
        """An unreachable CA is asked again, one that misbehaves is not."""
        self.assertEqual(reaction_to(kinds.AcmeUnreachable("x")), Reaction.SOON)
        self.assertEqual(reaction_to(AcmeMisbehaved("x")), Reaction.GIVE_UP)


class RetryTests(SynchronousTestCase):
    """Pauses and their limits."""

    def test_budgets(self) -> None:
        """Bad nonces and troubles have budgets of their own; other errors have none."""
        retries = Retries(Random(1))
        nonce, trouble = kinds.AcmeBadNonce("x"), kinds.AcmeUnreachable("x")
        pauses = [retries.pause_after(nonce) for _ in range(MAX_NONCE_TRIES)]
        self.assertEqual((pauses[0], pauses[-1]), (0.0, None))
        self.assertNotIn(None, pauses[:-1])
        waits = [retries.pause_after(trouble) for _ in range(MAX_TROUBLE_TRIES + 1)]
        self.assertIsNone(waits.pop())
        for least, wait in zip((0.5, 1.0, 2.0, 4.0), waits, strict=True):
            self.assertTrue(least <= wait <= 1.25 * least, waits)
        self.assertIsNone(retries.pause_after(AcmeMisbehaved("x")))

    def test_busy(self) -> None:
        """A short wait is waited for, a few times; a long one, or one without a time, is the caller's."""
        for seconds, waits in ((0.0, MAX_BUSY_TRIES), (30.0, MAX_BUSY_TRIES), (30.1, 0), (None, 0)):
            retries = Retries(Random(1))
            busy = kinds.AcmeRateLimited("x", retry_after_seconds=seconds)
            pauses = [retries.pause_after(busy) for _ in range(MAX_BUSY_TRIES + 1)]
            self.assertEqual([pause is not None for pause in pauses], [n < waits for n in range(len(pauses))])
            self.assertTrue(all(pause >= max(seconds or 0.0, 0.5) for pause in pauses if pause is not None))

    def test_polls(self) -> None:
        """Retry-After is kept to; without it the steps grow to a limit. Jitter only lengthens."""
        random = Random(1)
        for asked, least, most in ((0.0, 0.1, 0.125), (3.0, 3.0, 3.75), (3600.0, 3600.0, 4500.0)):
            self.assertTrue(least <= poll_pause(0, asked, random) <= most)
        self.assertLess(poll_pause(0, None, random), 0.2)
        self.assertTrue(5.0 <= poll_pause(10**6, None, random) <= 6.25)

    def test_retry_after(self) -> None:
        """Numbers and dates, in all three forms of RFC 9110; garbage is as good as none."""
        for header, seconds in (
            ("120", 120.0),
            ("99999999999999", 86_400.0),
            ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
            ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
            ("-5", None),
            ("soon", None),
            ("", None),
            (None, None),
        ):
            self.assertEqual(parse_retry_after(header, NOW), seconds, header)

    def test_retry_after_is_by_the_clock_of_whoever_said_it(self) -> None:
        """A date means the time from the answer's own Date on; ours may be hours away. A Date that is none is none."""
        header = "Sun, 22 Nov 2026 15:01:00 GMT"
        self.assertEqual(parse_retry_after(header, NOW, "Sun, 22 Nov 2026 15:00:00 GMT"), 60.0)
        self.assertEqual(parse_retry_after("60", NOW, "Sun, 22 Nov 2026 15:00:00 GMT"), 60.0)
        self.assertEqual(parse_retry_after(header, NOW, "yesterday"), 3 * 3600.0 + 60.0)

    @settings(deadline=None)
    @given(st.text(max_size=40))
    def test_any_retry_after(self, header: str) -> None:
        """No header makes it raise, or wait longer than a day."""
        seconds = parse_retry_after(header, NOW)
        self.assertTrue(seconds is None or 0 <= seconds <= 86_400)


class NonceTests(SynchronousTestCase):
    """The pool of nonces."""

    def test_newest_first_and_once(self) -> None:
        """The newest nonce is taken first, and none twice."""
        pool = NoncePool()
        for nonce in ("aaaa", "bbbb"):
            pool.put(nonce)
        self.assertEqual([pool.take(), pool.take(), pool.take()], ["bbbb", "aaaa", None])

    def test_bounded_and_picky(self) -> None:
        """The pool stays small, and what is no base64url is not kept."""
        pool = NoncePool()
        for bad in (None, "", "a b", "é", "a" * 300, "a\n", "aaaaa"):
            pool.put(bad)
        self.assertEqual(len(pool), 0)
        for n in range(1000):
            pool.put(f"{n:04d}")
        self.assertEqual((len(pool), pool.take()), (64, "0999"))


class ProfileTests(SynchronousTestCase):
    """The choice of a profile."""

    def test_choice(self) -> None:
        """The configured one; else the everyday one; else the first by name; none only where there are none."""
        self.assertEqual(choose_profile(("classic", "shortlived"), "shortlived"), "shortlived")
        self.assertEqual(choose_profile(("classic", "default", "a"), None), "default")
        self.assertEqual(choose_profile(("a", "classic"), None), "classic")
        self.assertEqual(choose_profile(("b", "a"), None), "a")
        self.assertIsNone(choose_profile((), None))
        self.assertRaises(AcmeUsageError, choose_profile, ("a",), "b")
        refused = self.assertRaises(AcmeUsageError, choose_profile, (), "b")
        self.assertIn("offers: none", str(refused))
