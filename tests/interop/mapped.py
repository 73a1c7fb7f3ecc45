"""A process that has port 4443 mapped: `python -m tests.interop.mapped LIFETIME CHECK`, in seconds.

It prints each change as a line, `MAPPED protocol address:port public` or `LOST`, between those of its log. SIGTERM ends
it. Another process listens there.
"""

import sys
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner, textFileLogObserver

from nodetrust.portmap import Mapping, PortMapper

reactor: Any = default_reactor
SECRET = b"the same after a restart"


def _changed(mapping: Mapping | None) -> None:
    if mapping is None:
        print("LOST", flush=True)
        return
    public = "public" if mapping.not_public is None else mapping.not_public.source
    print(f"MAPPED {mapping.protocol} {mapping.external_address}:{mapping.external_port} {public}", flush=True)


def main() -> None:
    """Map, run, and stop."""
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    lifetime, check = sys.argv[1:]
    mapper = PortMapper(reactor, secret=SECRET, lifetime_seconds=int(lifetime), check_seconds=float(check))
    mapper.map(4443, _changed)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(mapper.stop()))
    reactor.run()


if __name__ == "__main__":
    main()
