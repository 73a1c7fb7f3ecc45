"""Running the steps. Imported only when there is something to run: Alembic takes a tenth of a second to import."""

from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_one_at_a_time = Lock()  # Alembic keeps what it works on in globals of its modules


def known_steps() -> list[str]:
    """All steps, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def run_steps(connection: Connection, found: str | None, head: str) -> None:
    """From `found` (None: an empty database) to `head`, in the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    with _one_at_a_time:
        if found is not None:
            command.stamp(config, found)  # a store from before there were steps has not written it down
        command.upgrade(config, head)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
