"""A DNS server in a process of its own, asked over real sockets; every call blocks."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any

import dns.message

import nodetrust
from tests.toml import to_toml

ROOT = Path(nodetrust.__file__).parent.parent
_TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile=")
WAIT_SECONDS = 60.0


class ServerProcess:
    """`twistd nodetrust-dns` with settings, its state and configuration in `folder`.

    `place` is where it answers DNS, `address` where it can be dialled over libp2p. `prefix` is a command that runs it.
    """

    def __init__(self, folder: Path, descriptors: int = 1024, *, prefix: tuple[str, ...] = (), **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "zone": "nt.test",
            "state": str(folder.absolute() / "state"),
            "listen": ["/ip4/127.0.0.1/tcp/0"],
            "listen_dns": ["127.0.0.1:0"],
            **settings,
        }
        config = folder / "dns.toml"
        config.write_text(to_toml(values))
        self.process = subprocess.Popen(
            [*prefix, sys.executable, *_TWISTD, "nodetrust-dns", "--config", str(config.absolute())],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            text=True,
        )
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.lines: list[str] = []
        self._news: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()
        host, port = self.logged(r"answers for \S+ on (\S+):(\d+)")
        self.place = (host, int(port))
        (self.address,) = self.logged(r"(/ip4/[\d.]+/tcp/\d+/p2p/\w+)")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._news.put(line)

    def logged(self, pattern: str) -> tuple[str, ...]:
        """The groups of the first line that matches, which may be still to come."""
        while True:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found.groups()
            self._news.get(timeout=WAIT_SECONDS)

    def ask(self, name: str, type_: str = "A", timeout: float = 10.0) -> dns.message.Message | None:
        """The answer over UDP, if there is one in time."""
        query = dns.message.make_query(name, type_)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(timeout)
            client.sendto(query.to_wire(), self.place)
            try:
                return dns.message.from_wire(client.recv(4096))
            except TimeoutError:
                return None

    def texts(self, name: str) -> list[str]:
        """The TXT values at a name."""
        answer = self.ask(name, "TXT")
        assert answer is not None
        return [text.decode() for rrset in answer.answer for record in rrset for text in record.strings]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
