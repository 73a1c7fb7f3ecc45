"""Whose fault it was, and what is told."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust import acme
from nodetrust.issue.authorities import Blame, Refusals, blame
from nodetrust.messages import E_OTHER, E_RATE_LIMIT

NAMES = ("ip4192-0-2-1.zone.example", "pabc.zone.example")


class BlameTests(SynchronousTestCase):
    """One table."""

    def test_table(self) -> None:
        """What one peer's request brings about never stops the CA for the others, and what meets all does."""
        ca, request = Blame.CA, Blame.REQUEST
        for error, expected in (
            (acme.AcmeUnreachable("nobody listens"), ca),
            (acme.AcmeTimedOut("too slow"), ca),
            (acme.AcmeMisbehaved("HTML"), ca),
            (acme.AcmeServerTrouble("oops", status=500), ca),
            (acme.AcmeAccountRefused("agree first", kind="userActionRequired"), ca),
            (acme.AcmeAccountRefused("weak key in the CSR", kind="badPublicKey"), request),
            (acme.AcmeRefused("deactivated", kind="unauthorized", status=403), ca),
            (acme.AcmeRefused("a page of HTML", status=403), ca),
            (acme.AcmeRefused("no such profile", kind="invalidProfile"), ca),
            (acme.AcmeRefused("policy", kind="rejectedIdentifier"), request),
            (acme.AcmeRefused("weak key", kind="badCSR"), request),
            (acme.AcmeUsageError("the CSR has parts that cannot be read"), request),
            (acme.AcmeValidationFailed("wrong TXT", kind="unauthorized"), request),
            (acme.AcmeRateLimited("too many new orders (300) from this account in the last 3h0m0s"), ca),
            (acme.AcmeRateLimited('too many certificates (50) already issued for "zone.example" in the last 168h'), ca),
            (
                acme.AcmeRateLimited("too many certificates (5) already issued for this exact set of identifiers"),
                request,
            ),
            (
                acme.AcmeRateLimited('too many failed authorizations (5) for "pabc.zone.example" in the last 1h'),
                request,
            ),
        ):
            self.assertIs(blame(error, NAMES), expected, str(error))


class RefusalsTests(SynchronousTestCase):
    """One answer for several CAs."""

    def test_all_are_busy(self) -> None:
        """E_RATE_LIMIT, with the shortest wait."""
        refusals = Refusals()
        refusals.busy("https://one.example/dir", "left alone", 600)
        refusals.busy("https://two.example/dir", "no quota", 60)
        error = refusals.error()
        self.assertEqual((error.code, error.retry_after_seconds), (E_RATE_LIMIT, 60))
        self.assertEqual(str(error), "no certificate from one.example: left alone; nor from two.example: no quota")

    def test_one_has_failed(self) -> None:
        """E_OTHER; what a CA says for long is cut."""
        refusals = Refusals()
        refusals.busy("https://one.example/dir", "left alone", 600)
        refusals.failed("https://two.example/dir", "x" * 10_000, None)
        error = refusals.error()
        self.assertEqual((error.code, error.retry_after_seconds), (E_OTHER, 600))
        self.assertLess(len(str(error)), 500)
