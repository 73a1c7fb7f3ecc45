"""The simulation of a shared domain, in small: what it says of the quotas that the issue server really has."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.shared_domain import report, scenarios
from benchmarks.shared_domain.parameters import LISTED, Parameters
from benchmarks.shared_domain.scenarios import Scenario
from benchmarks.shared_domain.tally import Tally, Waits
from benchmarks.shared_domain.world import World

QUIET = Parameters(peers=45, weeks=3, launch=0.0, shared_addresses=0.0, sybils=0, address_days=10.0)
"""Fifteen a week, of the 25 that are for new peers."""

BESIEGED = replace(QUIET, sybils=1000, sybil_prefixes=5)


def lived(parameters: Parameters) -> Tally:
    return World(parameters).run()


class SybilTests(SynchronousTestCase):
    def test_with_the_quotas_of_prefixes_nobody_is_starved(self) -> None:
        """A thousand made-up peers in five prefixes ask sixty times as often; every honest peer is served at once."""
        new = lived(BESIEGED).waits["new"]
        self.assertGreaterEqual(len(new.seconds), 45)
        self.assertEqual((new.unserved, new.starved), ([], 0.0))
        self.assertLess(new.percentile(0.95), 60)

    def test_without_them_nearly_everybody_is(self) -> None:
        """It is the quotas of prefixes that do it: nothing else in this world does."""
        new = lived(replace(BESIEGED, prefix_quotas=False)).waits["new"]
        self.assertGreater(new.starved, 0.9)

    def test_the_cas_limit_holds(self) -> None:
        """Whoever gets them, there are no more certificates for new names than Let's Encrypt signs."""
        for quotas in (True, False):
            tally = lived(replace(BESIEGED, names="addresses", prefix_quotas=quotas))
            self.assertLessEqual(sum(tally.counted), 50 + 3 * 50)
            self.assertGreater(sum(tally.counted), 3 * 50)


class ShareTests(SynchronousTestCase):
    CROWDED = replace(QUIET, peers=2000, launch=0.5, names="addresses", leave_per_week=0.2, address_days=20.0)

    def test_new_peers_do_not_starve_those_that_moved(self) -> None:
        """Two thousand want a first certificate; those that have one and moved are served out of their share."""
        shared, unshared = (lived(replace(self.CROWDED, renewal_share=share)).waits["moved"] for share in (50, 0))
        self.assertLess(shared.starved, 0.1)
        self.assertGreater(unshared.starved, 0.5)

    def test_renewals_that_the_ca_does_not_count_do_not_wait(self) -> None:
        """However crowded the domain is, a certificate that is due is renewed, and none runs out."""
        tally = lived(replace(self.CROWDED, certificate_days=9.0))
        renewing = tally.waits["renewing"]
        self.assertGreater(len(renewing.seconds), 20)
        self.assertEqual((renewing.unserved, max(renewing.seconds), tally.lost), ([], 0.0, 0))


class ModeTests(SynchronousTestCase):
    def test_names_of_peers_cost_less(self) -> None:
        """A peer that moves needs another certificate only where the certificate says its address."""
        addresses, peer = (sum(lived(replace(QUIET, names=names)).counted) for names in ("addresses", "peer"))
        self.assertGreater(addresses, 1.3 * peer)

    def test_a_listed_zone(self) -> None:
        """Where only the account's orders count, a crowd is served that would wait for years."""
        crowd = replace(QUIET, peers=1500)
        self.assertGreater(lived(crowd).waits["new"].starved, 0.8)
        self.assertEqual(lived(replace(crowd, limits=LISTED)).waits["new"].starved, 0.0)

    def test_the_same_seed_gives_the_same_world(self) -> None:
        """So the figures of the documentation can be made again."""
        self.assertEqual(lived(BESIEGED), lived(BESIEGED))


class ReportTests(SynchronousTestCase):
    def test_waits(self) -> None:
        """Who still waits counts for as long as it did."""
        waits = Waits([10.0, 20.0, 30.0], [25.0])
        self.assertEqual([waits.percentile(part) for part in (0.25, 0.5, 0.95)], [10.0, 20.0, 30.0])
        self.assertEqual(Waits([10.0], [40.0]).percentile(0.95), float("inf"))
        self.assertEqual(Waits([1.0, 8 * 86400.0], [3.0, 9 * 86400.0]).starved, 2 / 3)

    def test_rows_have_the_columns_of_their_table(self) -> None:
        """For each table."""
        tally = lived(replace(QUIET, peers=5, weeks=1))
        for table in (scenarios.large, scenarios.small, scenarios.sybils):
            first: Scenario = table(QUIET)[0]
            self.assertEqual(len(report.row(first, tally)), len(report.HEADINGS[first.table]))
        self.assertEqual(report.markdown([(first, tally)]).count("\n"), 3)
