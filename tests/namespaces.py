"""Hosts, each a network namespace of its own, and cables between them; nothing of it leaves them. It takes root."""

import contextlib
import itertools
import os
import subprocess
from pathlib import Path

from tests.debian import PATH

COMMAND_SECONDS = 60
_FOLDERS = Path("/etc/netns")
"""In which `ip netns exec` finds what it puts in the place of files in /etc."""

_numbers = itertools.count()


class Hosts:
    """`start` makes them, each with loopback alone, and `stop` takes them away; both raise AssertionError."""

    def __init__(self, *which: str) -> None:
        number = f"{os.getpid()}-{next(_numbers)}"
        self._names = {one: f"nodetrust-{one}-{number}" for one in which}

    def start(self) -> None:
        """Make them."""
        for which, name in self._names.items():
            must("ip", "netns", "add", name)
            must("ip", "-n", name, "link", "set", "lo", "up")
            for scope in ("all", "default"):  # an IPv6 address is of use at once
                self.must(which, "sysctl", "--quiet", "--write", f"net.ipv6.conf.{scope}.accept_dad=0")

    def stop(self) -> None:
        """Take them away."""
        for name in self._names.values():
            with contextlib.suppress(AssertionError):
                must("ip", "netns", "delete", name)
            (_FOLDERS / name / "resolv.conf").unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                (_FOLDERS / name).rmdir()

    def at(self, which: str, *command: str | Path) -> list[str | Path]:
        """The command that runs `command` at one of them."""
        return ["ip", "netns", "exec", self._names[which], *command]

    def must(self, which: str, *command: str | Path) -> str:
        """What a command prints at one of them; it ends well."""
        return must(*self.at(which, *command))

    def cable(self, one: str, device: str, other: str, other_device: str) -> None:
        """Between two devices that it makes."""
        there = ["peer", "name", other_device, "netns", self._names[other]]
        must("ip", "-n", self._names[one], "link", "add", device, "type", "veth", *there)

    def give(self, which: str, device: str, *addresses: str) -> None:
        """A device has these addresses, with their prefixes, and is up."""
        name = self._names[which]
        for address in addresses:
            must("ip", "-n", name, "address", "add", address, "dev", device)
        must("ip", "-n", name, "link", "set", device, "up")

    def route(self, which: str, network: str, gateway: str) -> None:
        """What is sent to `network` goes by way of the gateway."""
        must("ip", "-n", self._names[which], "route", "add", network, "via", gateway)

    def forwards(self, which: str) -> None:
        """One is a router from now on."""
        for version in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            self.must(which, "sysctl", "--quiet", "--write", f"net.{version}=1")

    def resolve_by(self, which: str, *servers: str) -> None:
        """Programs of one ask these DNS servers, and no others."""
        folder = _FOLDERS / self._names[which]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in servers))


def must(*command: str | Path) -> str:
    """What a command prints; it ends well, or it raises AssertionError with what went wrong."""
    done = finish(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}"
    return done.stdout


def finish(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, however that is."""
    return subprocess.run(
        command,
        env={**os.environ, "PATH": PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
