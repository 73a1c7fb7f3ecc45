"""`Database`: the store's engine and its threads. Questions and changes go in as functions of a connection."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import TimeoutError
from twisted.python.failure import Failure

from nodetrust.store.engine import POSTGRESQL_CONNECTIONS, is_memory, open_engine, reading
from nodetrust.store.errors import StoreError
from nodetrust.store.lane import ANSWER_SECONDS, Job, Lane, NoAnswer, Overloaded

OPEN_SECONDS = 300.0
"""To open a database; its tables may have to be changed, and another server may be at it."""

CLOSE_SECONDS = 5.0
"""What was asked for before `close` has this time; a database that is stuck does not hold the process."""

TOGETHER = 100
"""Changes that wait for SQLite are made in one transaction, for the disk takes as long for a hundred as for one."""

READ_TOGETHER = 10
"""Questions that wait for PostgreSQL go over one connection one after another, which has to be tried out only once."""

_Given = TypeVar("_Given")
_T = TypeVar("_T")


class Database:
    """Made with `open`. Everything raises `StoreError`, and what the functions themselves raise of our own errors."""

    def __init__(self, reactor: Any, url: URL, engine: Engine) -> None:
        self._reactor = reactor
        self._url = url
        self._engine: Engine | None = engine
        self._writer, self._reader = engine, reading(engine)
        self._writes: Lane[Connection]
        self._reads: Lane[Connection]
        if engine.dialect.name != "sqlite":
            self._writes = Lane(reactor, "store", self._write_together, threads=POSTGRESQL_CONNECTIONS // 2)
            self._reads = Lane(
                reactor,
                "store-reads",
                self._read_together,
                threads=POSTGRESQL_CONNECTIONS // 2,
                most_together=READ_TOGETHER,
            )
        else:
            self._writes = Lane(reactor, "store", self._write_together, most_together=TOGETHER)
            # All of a database in memory is on one connection, which one thread at a time may use.
            self._reads = (
                self._writes
                if is_memory(url)
                else Lane(reactor, "store-reads", self._read_together, most_together=TOGETHER)
            )

    @classmethod
    async def open(cls, reactor: Any, url: URL) -> "Database":
        """Open it, and bring its tables up to date."""
        return cls(reactor, url, await _in_own_thread(reactor, url, lambda: open_engine(url), OPEN_SECONDS))

    async def close(self) -> None:
        """Finish what was asked for and close the connections; a second time it does nothing."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        for ended in [lane.close() for lane in {self._writes, self._reads}]:
            with suppress(TimeoutError):
                await ended.addTimeout(CLOSE_SECONDS, self._reactor)
        await _in_own_thread(self._reactor, self._url, engine.dispose, CLOSE_SECONDS)

    async def read(self, question: Callable[[Connection], _T]) -> _T:
        """What `question` returns; it is one SELECT. It does not wait for changes, and sees all that were confirmed."""
        return await self._ask(self._reads, question)

    async def write(self, change: Callable[[Connection], _T]) -> _T:
        """Run `change` in a transaction, that is on the disk when this returns; what it raises undoes all of it.

        It may be called more than once, so it does nothing beside the database. On SQLite one change runs after
        another, in all processes; on a database server side by side, but for those that say `alone`.
        """
        return await self._ask(self._writes, change)

    async def _ask(self, lane: Lane[Connection], work: Callable[[Connection], _T]) -> _T:
        if self._engine is None:
            raise StoreError(f"the store {self._url.render_as_string()} is closed")
        return await _answered(self._url, lane, work, ANSWER_SECONDS)

    def _read_together(self, jobs: Sequence[Job[Connection]]) -> None:
        with self._reader.connect() as connection:
            for job in jobs:
                job.attempt(lambda question: question(connection))

    def _write_together(self, jobs: Sequence[Job[Connection]]) -> None:
        if len(jobs) > 1 and self._write_in_one_transaction(jobs):
            return
        for job in jobs:
            if not job.over:
                job.attempt(self._write_alone)

    def _write_in_one_transaction(self, jobs: Sequence[Job[Connection]]) -> bool:
        """False if the database refused one of them: whose fault it is, if anyone's, shows when each is alone."""
        with self._writer.connect() as connection, connection.begin() as transaction:

            def write_in_savepoint(change: Callable[[Connection], Any]) -> Any:
                with connection.begin_nested():
                    return change(connection)

            for job in jobs:
                job.attempt(write_in_savepoint)
                if isinstance(job.outcome, Failure) and job.outcome.check(SQLAlchemyError):
                    transaction.rollback()  # which SQLite may have done by itself
                    return False
        return True

    def _write_alone(self, change: Callable[[Connection], _T]) -> _T:
        with self._writer.begin() as connection:
            return change(connection)


async def _in_own_thread(reactor: Any, url: URL, work: Callable[[], _T], seconds: float) -> _T:
    lane: Lane[None] = Lane(reactor, "store-opening", _call_each)
    try:
        return await _answered(url, lane, lambda _: work(), seconds)
    finally:
        lane.close()


def _call_each(jobs: Sequence[Job[None]]) -> None:
    for job in jobs:
        job.attempt(lambda work: work(None))


async def _answered(url: URL, lane: Lane[_Given], work: Callable[[_Given], _T], seconds: float) -> _T:
    try:
        return await lane.submit(work, seconds)
    except (SQLAlchemyError, OSError, NoAnswer, Overloaded) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreError(f"the store {url.render_as_string()} failed: {reason}") from error
