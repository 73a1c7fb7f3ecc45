"""The plot. Needs matplotlib (`pip install nodetrust[docs]`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.shared_domain.parameters import WEEK
from benchmarks.shared_domain.report import Result

STYLES = {"addresses": ("#d55e00", "-"), "both": ("#0072b2", "-"), "peer": ("#009e73", "--")}
"""Colours that people with every kind of sight tell apart; `peer` is drawn last, over the others."""

PERCENT = (0.01, 0.1, 1, 10, 100)

LIMITS = {
    "as published": "As published:\n50 certificates a week",
    "listed": "Listed in the Public Suffix List:\n300 orders in three hours",
    "raised": "Raised: 300,000 certificates a week,\n10,000 orders in three hours",
}


def draw(large: Sequence[Result], sybils: Sequence[Result], path: Path) -> None:
    """Who has a certificate for where it is, under each set of limits; and Sybils, with and without prefix quotas."""
    import matplotlib  # noqa: PLC0415  # an extra

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    matplotlib.rcParams.update(
        {"svg.hashsalt": "nodetrust", "font.size": 9, "axes.titlesize": 9.5, "axes.spines.top": False}
    )
    matplotlib.rcParams.update({"axes.spines.right": False, "svg.fonttype": "path"})
    figure, axes = pyplot.subplots(1, len(LIMITS) + 1, figsize=(13, 3.6), layout="constrained")
    for axis, (limits, title) in zip(axes, LIMITS.items(), strict=False):
        for names, (colour, line) in STYLES.items():
            for scenario, tally in large:
                if scenario.labels == (limits, names):
                    times, parts = zip(*tally.coverage, strict=True)
                    weeks = [time / WEEK for time in times]
                    axis.plot(weeks, [100 * part for part in parts], line, color=colour, label=names, linewidth=1.8)
        axis.set(title=title, xlabel="weeks since the domain opened", yscale="log", ylim=(0.01, 130), xlim=(0, None))
        axis.set_yticks(PERCENT, [f"{percent:g}" for percent in PERCENT])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("peers with a certificate\nfor where they are, %")
    axes[0].legend(title="names", frameon=False)
    _draw_sybils(axes[-1], sybils)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _draw_sybils(axis, results: Sequence[Result]) -> None:  # type: ignore[no-untyped-def]  # an extra's class
    prefixes = list(dict.fromkeys(scenario.labels[0] for scenario, _ in results))
    for shift, (quotas, colour) in zip((-0.2, 0.2), (("no", "#999999"), ("yes", "#0072b2")), strict=True):
        starved = {s.labels[0]: 100 * tally.waits["new"].starved for s, tally in results if s.labels[1] == quotas}
        label = "with quotas for prefixes" if quotas == "yes" else "without"
        places = [at + shift for at in range(len(prefixes))]
        bars = axis.bar(places, [starved[one] for one in prefixes], 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.0f", fontsize=8)
    axis.set_xticks(range(len(prefixes)), prefixes)
    axis.set(
        title="10,000 Sybils beside 120 honest\npeers, limits as published",
        xlabel="prefixes that the Sybils have",
        ylabel="new honest peers\nthat wait over a week, %",
        ylim=(0, 145),
        yticks=range(0, 101, 20),
    )
    axis.legend(frameon=False, loc="upper left")
