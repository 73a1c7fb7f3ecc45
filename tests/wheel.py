"""Shows that the wheel is whole: builds it, installs it into an empty environment away from the checkout, and uses it.

`python tests/wheel.py` needs the package `build`, and nothing of ours. It checks what a checkout can't show: that every
package is listed in setup.cfg, that `twistd` finds our five commands, that each explains itself, and that
`nodetrust demo --once` works.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
COMMANDS = ("nodetrust-dns", "nodetrust-proof", "nodetrust-issue", "nodetrust-client", "nodetrust-autotls")
STEP_SECONDS = 600
DEMO_SECONDS = 60
"""The demo's own promise."""

LIST_COMMANDS = """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
print(*sorted(plugin.tapname for plugin in getPlugins(IServiceMaker) if plugin.tapname.startswith("nodetrust")))
"""
"""A plugin that fails to import prints a traceback and is missing from `twistd --help`: this list shows it."""


class StepFailed(Exception):
    """A step of the check failed; the text says which, and ends with what was printed."""


def run(command: Sequence[str | Path], folder: Path, seconds: float = STEP_SECONDS) -> str:
    """The output of a command, in `folder`, that has to end with status 0."""
    arguments = [str(part) for part in command]
    print("wheel:", *arguments, flush=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"{arguments}: not done within {seconds:.0f} s\n{error.stdout!r}") from error
    if done.returncode != 0:
        raise StepFailed(f"{arguments}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel, made from the source distribution, so that both hold all that is needed."""
    run([sys.executable, "-m", "build", "--outdir", folder, CHECKOUT], folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A new environment in `folder` with the wheel and what it depends on; its folder of programs."""
    venv.create(folder, with_pip=True)
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", wheel], folder)
    return folder / "bin"


def check_plugins(programs: Path, folder: Path) -> None:
    """`twistd` has our commands, and each prints its options."""
    found = run([programs / "python", "-c", LIST_COMMANDS], folder).split()
    if sorted(found) != sorted(COMMANDS):
        raise StepFailed(f"twistd's commands of ours are {found}")
    for command in COMMANDS:
        explained = run([programs / "twistd", command, "--help"], folder)
        if "--config" not in explained:
            raise StepFailed(f"twistd {command} --help does not name --config:\n{explained}")


def main() -> int:
    """Run the check; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no-demo", action="store_true", help="leave out `nodetrust demo --once`")
    with_demo = not parser.parse_args().no_demo
    with tempfile.TemporaryDirectory(prefix="nodetrust-wheel-") as name:
        folder = Path(name)
        try:
            programs = install(build_wheel(folder), folder / "environment")
            check_plugins(programs, folder)
            if with_demo:
                print(run([programs / "nodetrust", "demo", "--once"], folder, DEMO_SECONDS))
        except StepFailed as failure:
            print(f"wheel: failed: {failure}")
            return 1
    print("wheel: all is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
