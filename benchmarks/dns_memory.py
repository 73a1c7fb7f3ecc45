"""How much memory our DNS server holds at its start, and after each million unique queries (the mix of `dns_compare`).

``python -m benchmarks.dns_memory`` asks ten million, which takes about five minutes. Exits with 1 if it holds more than
80 MB, answered for the first time after more than a second, or has grown by more than 1 % since the first million.
Needs dnsperf.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.dns_servers import dnsperf, free_port, require, start_nodetrust, write_queries

MAX_MB = 80.0
MAX_GROWTH = 1.01
MAX_FIRST_SECONDS = 1.0


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--names", type=int, default=1_000_000, help="in each round")
    options = parser.parse_args()
    require("dnsperf")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = start_nodetrust(folder, free_port())
        print(f"first answer after {server.first_answer_seconds:.2f} s, {server.resident_bytes() / 1e6:.1f} MB")
        resident = []
        try:
            for number in range(options.rounds):
                write_queries(folder / "queries.txt", options.names, mix=True, seed=number)
                run = dnsperf(server.port, folder / "queries.txt", "-n", "1", "-c", "16", "-q", "200")
                resident.append(server.resident_bytes() / 1e6)
                print(f"{(number + 1) * options.names:>12,} {resident[-1]:.1f} MB, {run.lost} lost", flush=True)
        finally:
            server.stop()
    is_flat = resident[-1] <= resident[0] * MAX_GROWTH
    return 0 if is_flat and resident[-1] <= MAX_MB and server.first_answer_seconds <= MAX_FIRST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
