"""Gets Chromium and certutil from Debian, and makes a HOME in which Chromium trusts a root."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.debian import find, install, may_install, missing

PROGRAMS = {"chromium": "chromium", "certutil": "libnss3-tools"}
FOLDER = Path(__file__).parents[2] / "build" / "browser"
"""For screenshots."""

CERTUTIL_SECONDS = 30


def require_chromium() -> str:
    """The path of Chromium; skips the test that calls this where something is missing and nothing demands it."""
    if os.environ.get("NODETRUST_BROWSER") == "skip":
        raise SkipTest("`tox -e browser` runs it")
    if packages := missing(PROGRAMS):
        text = f"{' and '.join(packages)} not found: `python -m tests.browser.chromium --install` gets it"
        if os.environ.get("CI") == "true" or os.environ.get("NODETRUST_BROWSER") == "require":
            raise AssertionError(text)
        raise SkipTest(text)
    return str(find("chromium"))


def trusting_home(home: Path, root: Path) -> None:
    """Make `home` one whose user trusts the certification authority in the PEM file `root`."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    _certutil("-N", "-d", f"sql:{database}", "--empty-password")
    _certutil("-A", "-d", f"sql:{database}", "-t", "C,,", "-n", "root", "-i", str(root))


def _certutil(*arguments: str) -> None:
    subprocess.run([str(find("certutil")), *arguments], check=True, capture_output=True, timeout=CERTUTIL_SECONDS)


def main() -> int:
    """Say what is missing, or install it."""
    packages = missing(PROGRAMS)
    if packages and may_install(sys.argv[1:]):
        try:
            install(packages)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"browser: failed: {error}", file=sys.stderr)
            return 1
        packages = missing(PROGRAMS)
    print(f"browser: missing: {', '.join(packages)}" if packages else "browser: all is there", file=sys.stderr)
    return 1 if packages else 0


if __name__ == "__main__":
    sys.exit(main())
