"""The command line: which worlds, how large, and where the tables and the plot go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.shared_domain import plot, report, scenarios
from benchmarks.shared_domain.parameters import DAY, Parameters
from benchmarks.shared_domain.scenarios import Scenario
from benchmarks.shared_domain.tally import Tally
from benchmarks.shared_domain.world import World

OPTIONS = {
    "peers": "honest peers; only for the table `large`",
    "weeks": "how long the world lives",
    "launch": "the part of the peers that asks in the first hour; the others join evenly",
    "leave_per_week": "the part of the peers that leaves in a week, and is replaced",
    "address_days": "how long a peer has one address, on average",
    "shared_addresses": "the part of the peers that is behind an address with others",
    "peers_per_shared_address": "with how many",
    "certificate_days": "how long a certificate is good for",
    "ari": "the part of the renewals that follows the CA's ARI, and so is not counted",
    "sybils": "peer IDs of somebody who wants every certificate that can be had",
    "sybil_prefixes": "the IPv6 /48 that they are in",
    "sybil_eagerness": "how often they ask, where an honest peer asks once",
    "renewal_share": "the setting: percent of the CA's limits that only peers with a certificate get",
    "orders_per_peer": "the setting: new certificates for one peer in a week",
    "orders_per_address": "the setting: for one IPv4 address or IPv6 /64 in a week",
    "orders_per_48": "the setting: for one IPv6 /48 in a week",
    "seed": "of chance: the same gives the same figures",
}

TABLES = {"large": scenarios.large, "small": scenarios.small, "sybils": scenarios.sybils}
TITLES = {
    "large": "Each naming mode under each set of limits",
    "small": "How large a domain may be under the published limits, without Sybils",
    "sybils": "120 honest peers beside Sybils under the published limits",
}


def _options(command: Any) -> Any:
    for field in reversed(fields(Parameters)):
        if field.name in OPTIONS:
            flag = "--" + field.name.replace("_", "-")
            show = click.option(flag, default=field.default, show_default=True, help=OPTIONS[field.name])
            command = show(command)
    return command


@click.command(help=__doc__)
@click.option("--table", "tables", type=click.Choice(list(TABLES)), multiple=True, help="only these  [default: all]")
@click.option("--markdown", type=click.Path(path_type=Path), help="a file in whose places the tables are put")
@click.option(
    "--svg",
    type=click.Path(path_type=Path),
    help="where the plot goes; needs matplotlib, and the tables large and sybils",
)
@click.option("--jobs", default=1, show_default=True, help="worlds at one time, each in a process of its own")
@_options
def main(tables: tuple[str, ...], markdown: Path | None, svg: Path | None, jobs: int, **given: Any) -> None:
    """Simulate the worlds of each table, one after another."""
    if svg is not None and tables and not {"large", "sybils"} <= set(tables):
        raise click.UsageError("--svg needs the tables large and sybils")
    base = replace(Parameters(), **given)
    console = Console()
    results: dict[str, list[report.Result]] = {}
    for table in tables or tuple(TABLES):
        began = time.monotonic()
        results[table] = list(_simulate_all(TABLES[table](base), jobs, console))
        _print(table, results[table], console)
        console.print(f"{time.monotonic() - began:.0f} s\n")
        if markdown is not None:
            report.write_into(markdown, table, report.markdown(results[table]))
    if svg is not None:
        plot.draw(results["large"], results["sybils"], svg)


def _simulate_all(worlds: list[Scenario], jobs: int, console: Console) -> Iterable[report.Result]:
    if jobs == 1:
        yield from ((one, _simulate(one, console)) for one in worlds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for one, tally in zip(worlds, pool.map(_live, worlds), strict=True):
            console.print(f"{', '.join(one.labels)}: asked {tally.asks:,} times")
            yield one, tally


def _live(scenario: Scenario) -> Tally:
    return World(scenario.parameters).run()


def _simulate(scenario: Scenario, console: Console) -> Tally:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(", ".join(scenario.labels), total=scenario.parameters.end, told="")

        def progress(now: float, tally: Tally) -> None:
            signed = sum(map(sum, tally.certificates.values()))
            told = f"day {now / DAY:.0f}: asked {tally.asks:,} times, {signed:,} certificates"
            bar.update(task, completed=now, told=told)

        return World(scenario.parameters).run(progress)


def _print(table: str, results: list[report.Result], console: Console) -> None:
    shown = Table(title=TITLES[table], title_justify="left")
    for number, heading in enumerate(report.HEADINGS[table]):
        shown.add_column(heading, justify="left" if number < 2 else "right")
    for result in results:
        shown.add_row(*report.row(*result))
    console.print(shown)


if __name__ == "__main__":
    main()
