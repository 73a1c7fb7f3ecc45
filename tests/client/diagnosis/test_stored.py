"""What is said of the certificate in a folder."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.certificates import Chain, key_to_pem, make_key
from nodetrust.client.diagnosis.steps import Outcome, Step
from nodetrust.client.diagnosis.stored import judge_stored, read_stored
from nodetrust.client.files import save
from nodetrust.client.obtain import Obtained
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import ECDSA_P256
from nodetrust.names import autotls_wildcard, certificate_names
from tests.client.examples import certificate, moment

ZONE = "nt.example.org"
PEER = PrivateKey.generate().peer_id
IP, OTHER = ip_address("8.8.8.8"), ip_address("8.8.4.4")
NOW = moment(1_800_000_000)
DAY = timedelta(days=1)


class StoredTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.key = make_key(ECDSA_P256)
        self.chain = certificate(self.key, certificate_names(PEER, [IP], ZONE, "addresses"), NOW)

    def store(self, renew_in: timedelta = 60 * DAY) -> None:
        save(self.folder, Obtained(self.chain, self.key, (IP,), from_cache=False, renew_at=NOW + renew_in))

    def judge(self, *, after: timedelta = DAY, proven: object = (IP,), zone: str = ZONE) -> dict[str, Step]:
        steps = judge_stored(read_stored(self.folder), PEER, [zone], proven, NOW + after)
        return {step.title: step for step in steps}

    def assert_wrong(self, step: Step, outcome: Outcome, found: str) -> None:
        self.assertEqual(step.outcome, outcome, step)
        self.assertIn(found, step.found)
        self.assertTrue(step.advice)

    def test_all_is_well(self) -> None:
        """Files, time and names; nothing is made where there is no folder."""
        (step,) = self.judge().values()
        self.assertEqual((step.outcome, self.folder.exists()), (Outcome.SKIP, False))
        self.store()
        steps = self.judge()
        self.assertEqual([one.outcome for one in steps.values()], [Outcome.OK] * 3)
        self.assertIn("good for 89 days more", steps["validity"].found)
        self.assertIn("renewal planned for", steps["validity"].found)

    def test_time(self) -> None:
        """Run out, not begun, and not renewed on time."""
        self.store()
        self.assert_wrong(self.judge(after=91 * DAY)["validity"], Outcome.FAIL, "it has run out")
        self.assert_wrong(self.judge(after=-DAY)["validity"], Outcome.FAIL, "the clock here is behind")
        self.assert_wrong(self.judge(after=62 * DAY)["validity"], Outcome.WARN, "its renewal was due on")

    def test_names(self) -> None:
        """A peer that has moved, and an issue server whose zone is another."""
        self.store()
        self.assert_wrong(self.judge(proven=(IP, OTHER))["names"], Outcome.FAIL, "for 8.8.4.4,")
        self.assert_wrong(self.judge(zone="other.example")["names"], Outcome.WARN, "is not in other.example")

    def test_by_autotls(self) -> None:
        """The wildcard is for each address below the peer's name, and for no other peer."""
        self.chain = certificate(self.key, [autotls_wildcard(PEER, ZONE)], NOW)
        self.store()
        self.assertEqual(self.judge(proven=(IP, OTHER))["names"].outcome, Outcome.OK)
        self.chain = certificate(self.key, [autotls_wildcard(PrivateKey.generate().peer_id, ZONE)], NOW)
        self.store()
        self.assert_wrong(self.judge()["names"], Outcome.FAIL, "for 8.8.8.8,")
        self.assertEqual(read_stored(self.folder).addresses, (IP,))

    def test_files(self) -> None:
        """Another key, none, one that all may read, a chain that leads nowhere, and no certificate at all."""
        self.store()
        (self.folder / "combined.pem").unlink()
        (self.folder / "key.pem").chmod(0o644)
        self.assert_wrong(self.judge()["files"], Outcome.WARN, "others than the owner may read the key in key.pem")
        (self.folder / "key.pem").write_bytes(key_to_pem(make_key(ECDSA_P256)))
        self.assert_wrong(self.judge()["files"], Outcome.FAIL, "the key is another")
        (self.folder / "key.pem").unlink()
        self.assert_wrong(self.judge()["files"], Outcome.FAIL, "key is missing")
        stranger = certificate(make_key(ECDSA_P256), ["ca.example"], NOW).leaf
        self.chain = Chain(self.chain.leaf, (stranger,))
        self.store()
        self.assert_wrong(self.judge()["files"], Outcome.FAIL, "certificate 1 of the chain is not signed by")
        (self.folder / "combined.pem").write_text("babble")
        self.assert_wrong(self.judge()["files"], Outcome.FAIL, "combined.pem")
