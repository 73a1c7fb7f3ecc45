"""`python -m nodetrust.dns.workers`: a worker, started by the server; nothing for the command line."""

from __future__ import annotations

import signal
import sys

from twisted.internet import reactor, stdio
from twisted.logger import globalLogBeginner, textFileLogObserver

from nodetrust.dns.workers.worker import Worker


def main() -> None:
    """Run one worker until its parent has no more use for it."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent reads the zone file, and says so
    worker = Worker(reactor)
    stdio.StandardIO(worker)
    reactor.addSystemEventTrigger("before", "shutdown", worker.finish)
    reactor.run()


if __name__ == "__main__":
    main()
