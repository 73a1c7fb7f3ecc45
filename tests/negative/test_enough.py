"""How many rows there are."""

from twisted.trial.unittest import SynchronousTestCase

from tests.negative import test_csrs, test_dns01, test_proof_server, test_proofs, test_requests


class EnoughTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """At least four hundred, beside those that are made while the tests run."""
        modules = (test_csrs, test_dns01, test_proof_server, test_proofs, test_requests)
        tables = [value for module in modules for name, value in vars(module).items() if _is_table(name, value)]
        self.assertGreaterEqual(sum(map(len, tables)), 400)


def _is_table(name: str, value: object) -> bool:
    return name.isupper() and isinstance(value, dict | tuple) and len(value) > 4
