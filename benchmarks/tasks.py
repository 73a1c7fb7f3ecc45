"""A program of tasks: `program TASK JSON-ARGUMENTS` does one, and prints its figures as a line of JSON."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred


def run_task(tasks: Mapping[str, Callable[..., Any]]) -> None:
    """Do the task that the command line names, a coroutine function of the reactor, with all descriptors there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def run(reactor: Any) -> None:
        print(json.dumps(await tasks[sys.argv[1]](reactor, **json.loads(sys.argv[2]))), flush=True)

    task.react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
