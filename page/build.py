"""Makes nodetrust/page/assets from the sources in this folder: `python -m page.build`, in the checkout.

With `--check` it changes nothing, and ends with status 1 where the committed files are others; with `--test` it runs
the tests of the sources instead. Node and the npm packages, at the versions of package-lock.json, come from
tests/interop/toolchain.py.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.interop.toolchain import ToolchainError, prepare_page

SOURCES = Path(__file__).parent
ASSETS = SOURCES.parent / "nodetrust" / "page" / "assets"
FILES = ("*.css", "*.html", "*.mjs", "*.svg")
FOLDERS = ("source", "tests")
MAX_SCRIPT_BYTES = 600_000
"""Of JavaScript, before compression: what a phone has to read."""


def lay_out(folder: Path) -> None:
    """Put the sources beside the npm packages in `folder`, and nothing of an older state."""
    for pattern in FILES:
        for old in folder.glob(pattern):
            old.unlink()
        for file in SOURCES.glob(pattern):
            shutil.copy(file, folder)
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(SOURCES / name, folder / name)


def contents(folder: Path) -> dict[str, bytes]:
    """What is in a folder, by name."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def build(node: Path, folder: Path) -> dict[str, bytes]:
    """The files of the page."""
    with tempfile.TemporaryDirectory(prefix="nodetrust-page-") as target:
        subprocess.run([node, "build.mjs", target], cwd=folder, check=True)
        return contents(Path(target))


def differences(built: dict[str, bytes], committed: dict[str, bytes]) -> list[str]:
    """The names of the files that are not the same."""
    return sorted(name for name in built.keys() | committed.keys() if built.get(name) != committed.get(name))


def sizes(built: dict[str, bytes]) -> str:
    """The names and sizes of the files."""
    return ", ".join(f"{name} {len(built[name]):,} bytes" for name in sorted(built))


def main() -> int:
    """Run it; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m page.build", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say whether the committed files are these")
    parser.add_argument("--test", action="store_true", help="only run the tests")
    asked = parser.parse_args()
    try:
        node, folder = prepare_page()
    except ToolchainError as error:
        print(f"page: failed: {error}", file=sys.stderr)
        return 1
    lay_out(folder)
    if asked.test:
        reporter = ["--test-reporter=./tests/reporter.mjs", "--test-reporter-destination=stdout"]
        return subprocess.run([node, "--test", *reporter, "tests/*.test.mjs"], cwd=folder, check=False).returncode
    built = build(node, folder)
    print(f"page: {sizes(built)}")
    if any(len(body) > MAX_SCRIPT_BYTES for body in built.values()):
        print(f"page: failed: more than {MAX_SCRIPT_BYTES:,} bytes", file=sys.stderr)
        return 1
    if asked.check:
        wrong = differences(built, contents(ASSETS))
        for name in wrong:
            print(f"page: {name} is not what `python -m page.build` makes", file=sys.stderr)
        return 1 if wrong else 0
    shutil.rmtree(ASSETS, ignore_errors=True)
    ASSETS.mkdir(parents=True)
    for name, body in built.items():
        (ASSETS / name).write_bytes(body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
