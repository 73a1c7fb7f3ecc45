"""Programs that tests need and that Debian has as packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program before it starts a server that it has installed; 101 means no."""


def find(program: str) -> Path | None:
    """Where a program is; servers are in folders that a user's PATH does not have."""
    found = shutil.which(program, path=PATH)
    return None if found is None else Path(found)


def missing(programs: Mapping[str, str]) -> list[str]:
    """The packages of those `programs` (with the packages that bring them) that are not here."""
    return sorted({package for name, package in programs.items() if find(name) is None})


def may_install(arguments: Iterable[str]) -> bool:
    """Whether to install what is missing: as root in CI, or with `--install`."""
    return os.geteuid() == 0 and (os.environ.get("CI") == "true" or "--install" in arguments)


def install(packages: list[str]) -> None:
    """Install with apt, starting nothing; raises OSError and CalledProcessError."""
    if not POLICY.exists():
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    names = " ".join(packages).split()
    options = ["-o", "DPkg::Lock::Timeout=300", "--quiet", "--yes", "--no-install-recommends"]
    subprocess.run(["apt-get", "update", "--quiet"], env=environment, check=True)
    subprocess.run(["apt-get", "install", *options, *names], env=environment, check=True)
