"""Restart our DNS server again and again under load: how many queries are lost?

``python -m benchmarks.dns_handover`` lets dnsperf ask 10,000 queries a second while the server is replaced: the next
is started beside it (`--share-port`), and when it answers the old one gets SIGTERM. Exits with 1 if a query was lost.
With ``--workers 2 --kill`` it also kills a worker (SIGKILL) in every round. Needs dnsperf.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.dns_servers import HOST, free_port, process_tree, read_dnsperf, require, start_nodetrust, write_queries

PAUSE_SECONDS = 0.5
"""Between restarts, so that each has its own effect."""


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill", action="store_true", help="kill a worker in every round")
    options = parser.parse_args()
    require("dnsperf")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        queries = folder / "queries.txt"
        write_queries(queries, 100_000, mix=True)
        arguments = ("--share-port", "--workers", str(options.workers))
        server = start_nodetrust(folder, port, *arguments, name="server 0")
        command = ["dnsperf", "-s", HOST, "-p", str(port), "-d", str(queries), "-e", "-c", "16"]
        command += ["-q", "10000", "-Q", str(options.rate), "-t", "3", "-l", "3600"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for number in range(options.restarts):
                time.sleep(PAUSE_SECONDS)
                if options.kill:
                    os.kill(process_tree(server.process.pid)[-1], signal.SIGKILL)
                    time.sleep(PAUSE_SECONDS)
                following = start_nodetrust(folder, port, *arguments, name=f"server {number + 1}")
                server.stop()
                server = following
            time.sleep(PAUSE_SECONDS)
            load.send_signal(signal.SIGINT)
            output, _ = load.communicate()
        finally:
            load.kill()
            server.stop()
    run = read_dnsperf(output)
    print(f"{options.restarts} restarts, {run.completed:,} answers, {run.per_second:,.0f} a second, {run.lost} lost")
    print(run.rcodes)
    return 1 if run.lost else 0


if __name__ == "__main__":
    sys.exit(main())
