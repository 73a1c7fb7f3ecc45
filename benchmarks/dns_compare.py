"""Our DNS server beside Knot's mod-synthrecord and PowerDNS with a pipe backend: CPU time a query, queries a second.

``python -m benchmarks.dns_compare`` takes about two minutes. Each server runs as one worker; dnsperf asks for a million
unique names with EDNS, first A only, then the mix (80 % A, 10 % AAAA, 5 % TXT, 5 % NXDOMAIN, random case; of these Knot
has the A records and denies the rest). Servers take turns, several rounds; the median counts. CPU time is what the
operating system says of the server and its children, which says more than queries a second on a machine that dnsperf
shares. Needs dnsperf, knotd and pdns_server.
"""

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from benchmarks.dns_servers import (
    Server,
    dnsperf,
    free_port,
    require,
    start_knot,
    start_nodetrust,
    start_powerdns,
    write_queries,
)

MILLION = 1_000_000


def measure(server: Server, queries: Path, options: list[str]) -> dict[str, float]:
    """One run."""
    before = server.cpu_seconds()
    run = dnsperf(server.port, queries, *options)
    cpu = server.cpu_seconds() - before
    return {"cpu_us": 1e6 * cpu / run.completed, "per_second": run.per_second, "lost": run.lost}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--names", type=int, default=MILLION)
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--outstanding", type=int, default=200, help="queries that wait for their answers")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--option", action="append", default=[], help="one more for our server")
    options = parser.parse_args()
    require("dnsperf", "knotd", "pdns_server")
    load = ["-l", str(options.seconds), "-c", "16", "-q", str(options.outstanding)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {kind: folder / f"{kind}.txt" for kind in ("A", "mix")}
        for kind, path in files.items():
            write_queries(path, options.names, kind == "mix")
        with ExitStack() as running:
            servers = []
            for start in (start_nodetrust, start_knot, start_powerdns):
                more = options.option if start is start_nodetrust else []
                servers.append(start(folder, free_port(), *more))
                running.callback(servers[-1].stop)
            figures = compare(servers, files, load, options.rounds)
            for server in servers:
                figures[server.name]["resident_mb"] = server.resident_bytes() / 1e6
                figures[server.name]["first_answer_seconds"] = server.first_answer_seconds
    show(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(servers: list[Server], files: dict[str, Path], load: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """The medians by server, each figure with the kind of queries in front."""
    runs: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for kind, path in files.items():
            for server in servers:
                for figure, value in measure(server, path, load).items():
                    runs[server.name, f"{kind}_{figure}"].append(value)
    medians: dict[str, dict[str, float]] = {server.name: {} for server in servers}
    for (name, figure), values in runs.items():
        medians[name][figure] = statistics.median(values)
    return medians


def show(figures: dict[str, dict[str, float]]) -> None:
    """The table."""
    ours, knot, *_ = figures.values()
    print(f"{'':24}{'CPU µs a query':>22}{'queries a second':>24}{'lost':>14}{'resident':>12}{'first':>10}")
    print(f"{'':24}{'A':>11}{'mix':>11}{'A':>12}{'mix':>12}{'A':>7}{'mix':>7}{'MB':>12}{'s':>10}")
    for name, one in figures.items():
        print(
            f"{name:24}{one['A_cpu_us']:>11.2f}{one['mix_cpu_us']:>11.2f}{one['A_per_second']:>12,.0f}"
            f"{one['mix_per_second']:>12,.0f}{one['A_lost']:>7.0f}{one['mix_lost']:>7.0f}"
            f"{one['resident_mb']:>12.1f}{one['first_answer_seconds']:>10.2f}"
        )
    print(
        f"ours / Knot: CPU A {ours['A_cpu_us'] / knot['A_cpu_us']:.2f} (target 1.5), "
        f"mix {ours['mix_cpu_us'] / knot['mix_cpu_us']:.2f} (target 2), "
        f"throughput A {ours['A_per_second'] / knot['A_per_second']:.2f} (target 0.8)"
    )


if __name__ == "__main__":
    main()
