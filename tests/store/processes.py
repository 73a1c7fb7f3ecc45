"""Other processes for the store's tests."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

import nodetrust

CHECKOUT = Path(nodetrust.__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}

PRELUDE = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from nodetrust.errors import NodetrustError
from nodetrust.store import *
from tests.store.examples import *

def run(coroutine):
    ended = Deferred.fromCoroutine(coroutine)
    ended.addErrback(lambda failure: print(failure.getTraceback(), file=sys.stderr))
    ended.addBoth(lambda _: reactor.stop())
    reactor.run()
"""
"""Before a script that ends with `run(main())`."""


async def output_of(script: str, *arguments: str, before: tuple[str, ...] = ()) -> str:
    """What a Python script prints; an AssertionError with what it complained about, if it did."""
    command = [*before, sys.executable, "-c", script, *arguments]
    answer: Any = await getProcessOutputAndValue(command[0], command[1:], ENVIRONMENT)
    out, err, status = answer
    if err or status:
        raise AssertionError(f"the process ended with {status}: {err.decode()}")
    return str(out.decode())
