"""The programs that the tests of this folder need, all of them Debian's packages.

`python -m tests.dns_oracle.toolchain` says what is missing. As root with CI=true (or with `--install`) it installs that
with apt, in such a way that no server of it is started.
"""

import os
import subprocess
import sys

from twisted.trial.unittest import SkipTest

from tests.debian import find, install, may_install, missing

PROGRAMS = {
    "knotd": "knot",
    "nsd": "nsd",
    "named": "bind9",
    "pdns_server": "pdns-server pdns-backend-bind",
    "unbound": "unbound",
    "kdig": "knot-dnsutils",
    "kzonecheck": "knot-dnssecutils",
    "keymgr": "knot",
    "dig": "bind9-dnsutils",
    "delv": "bind9-dnsutils",
    "named-checkzone": "bind9-utils",
    "dnsviz": "dnsviz",
    "zonemaster-cli": "zonemaster-cli",
    "dnsperf": "dnsperf",
    "ip": "iproute2",
    "sysctl": "procps",
    "strace": "strace",
    "pebble": "pebble",
}
"""The program, and the Debian packages that bring it."""


def is_required() -> bool:
    """Whether a missing program is a failure: in CI, and when NODETRUST_DNS_ORACLE=require."""
    return os.environ.get("CI") == "true" or os.environ.get("NODETRUST_DNS_ORACLE") == "require"


def require(*programs: str) -> None:
    """Skip the test that calls this where a program is missing and nothing demands it."""
    if os.environ.get("NODETRUST_DNS_ORACLE") == "skip":
        raise SkipTest("`tox -e dns` runs it")
    absent = [program for program in programs if find(program) is None]
    if not absent:
        return
    text = f"{', '.join(absent)} not found: `python -m tests.dns_oracle.toolchain` says what to install"
    if is_required():
        raise AssertionError(text)
    raise SkipTest(text)


def require_root() -> None:
    """Skip the test that calls this where no network namespace can be made; in CI that is a failure."""
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if made.returncode == 0:
        return
    text = "no network namespace can be made here: it takes root"
    if is_required():
        raise AssertionError(text)
    raise SkipTest(text)


def main() -> int:
    """Say what is missing, or install it; 1 if something is still missing."""
    packages = missing(PROGRAMS)
    if packages and may_install(sys.argv[1:]):
        try:
            install(packages)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"dns_oracle: {error}", file=sys.stderr)
        packages = missing(PROGRAMS)
    if packages:
        print(f"dns_oracle: missing. On Debian: apt-get install {' '.join(packages)}", file=sys.stderr)
        return 1
    print("dns_oracle: all programs are here", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
