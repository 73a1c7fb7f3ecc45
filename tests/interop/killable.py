"""An issue server in a process of its own that kills itself at a chosen point.

`python -m tests.interop.killable SETTINGS TRACE POINT`: SETTINGS is a file as `settings_to_bytes` writes it. Everything
that this process does to the world outside (each change of the store, request to the CA, word to the DNS servers) has a
point before and one after it; the one after a thing is also the one before the next, where nothing else is under way
meanwhile. Each is written to TRACE; at the point with the number POINT the process gets SIGKILL; 0 is none. It prints
where it listens when it is ready.
"""

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner, textFileLogObserver

from nodetrust.acme.transport import HttpTransport
from nodetrust.challenges.servers import DnsServers
from nodetrust.issue.service import IssueService
from nodetrust.issue.settings import IssueSettings
from nodetrust.settings import settings_from_bytes
from nodetrust.store.database import Database
from tests.interop.roles import full_addresses

reactor: Any = default_reactor


class Points:
    """Counts, and kills."""

    def __init__(self, trace: Path, last: int) -> None:
        self._trace = trace.open("a", buffering=1)
        self._last = last
        self._passed = 0
        self._under_way = 0

    def around(self, owner: type, name: str, describe: Callable[..., str]) -> None:
        """Put a point before and after each call of a method that is a coroutine."""
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def counted(*arguments: Any, **options: Any) -> Any:
            what = describe(*arguments)
            if self._under_way or not self._passed:
                self._pass(f"before {what}")
            self._under_way += 1
            try:
                return await original(*arguments, **options)
            finally:
                self._under_way -= 1
                self._pass(f"after {what}")

        setattr(owner, name, counted)

    def _pass(self, what: str) -> None:
        self._passed += 1
        self._trace.write(f"{self._passed} {what}\n")
        if self._passed == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def count(points: Points) -> None:
    """Everything outside of the process."""
    points.around(Database, "write", lambda _, change: f"store {change.__qualname__}")
    points.around(HttpTransport, "request", lambda _, method, url, *rest: f"acme {method} {url}")
    points.around(DnsServers, "publish", lambda *_: "dns publish")
    points.around(DnsServers, "withdraw", lambda *_: "dns withdraw")


async def run(settings: IssueSettings) -> None:
    """Start, and say where."""
    service = IssueService(reactor, settings)
    await service.start()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(json.dumps([str(address) for address in full_addresses(service.host)]), flush=True)


def main() -> None:
    """As the module says."""
    settings_file, trace, point = sys.argv[1:]
    count(Points(Path(trace), int(point)))
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    settings = settings_from_bytes(IssueSettings, Path(settings_file).read_bytes())

    def fail(failure: Any) -> None:
        failure.printTraceback()
        os._exit(1)

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run(settings)).addErrback(fail))
    reactor.run()


if __name__ == "__main__":
    main()
