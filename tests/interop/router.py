"""A home with a router to the outside: three network namespaces, nftables for the NAT, and Debian's miniupnpd.

`lan` is the client's namespace, with the router as its gateway; `out` is the internet. The router's external addresses
are ordinary ones that miniupnpd takes for public; none of it leaves the namespaces.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.dns_oracle.servers import Child, spawn
from tests.namespaces import Hosts, finish

CLIENT = "192.168.77.2"
GATEWAY = "192.168.77.1"
EXTERNAL = "45.20.1.1"
OTHER_EXTERNAL = "45.20.1.7"
OUTSIDE = "45.20.1.9"
GREETING = "a real listener"
"""What the listener behind the mapped port sends to whoever connects."""

CONNECT_SECONDS = 1.0
GREETING_SECONDS = 10.0
DEADLINE_SECONDS = 40.0

_ADDRESSES = (("lan", "eth0", f"{CLIENT}/24"), ("router", "lan", f"{GATEWAY}/24"), ("out", "eth0", f"{OUTSIDE}/24"))

_RULES = """
table inet filter {
  chain miniupnpd {
  }
  chain prerouting_miniupnpd {
  }
  chain postrouting_miniupnpd {
  }
  chain input {
    type filter hook input priority 0; policy accept;
    %s
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" accept
    jump miniupnpd
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    oifname "wan" masquerade
  }
}
"""

NO_PCP = "udp dport 5351 @th,64,8 2 drop"
"""A rule for a router that has never heard of version 2 of the protocol at that port."""

_LISTEN = f"""
import contextlib, socket
listener = socket.create_server(("", 4443))
print("listens", flush=True)
while True:
    with listener.accept()[0] as connection, contextlib.suppress(OSError):
        connection.sendall({GREETING.encode()!r})
"""

_DIAL = f"""
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), {CONNECT_SECONDS}) as connection:
        connection.settimeout({GREETING_SECONDS})
        print(connection.makefile().read())
except OSError as error:
    sys.exit(str(error))
"""


class Router:
    """Start it before use and stop it in the end; its files are in `folder`."""

    def __init__(self, folder: Path, *, rule: str = "", options: str = "enable_natpmp=yes") -> None:
        self.folder = folder.resolve()
        self._rule = rule
        self._options = options
        self._hosts = Hosts("lan", "router", "out")
        self._listener: Child | None = None
        self._daemon: Child | None = None
        self._client: Child | None = None

    def start(self) -> None:
        """Make the namespaces, the NAT, the listener at home and the router's daemon.

        The listener is there for good, whatever becomes of the client. Raises AssertionError with what went wrong.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._hosts.start()
        for end, other in (("lan", "lan"), ("wan", "out")):
            self._hosts.cable("router", end, other, "eth0")
        for which, device, address in (*_ADDRESSES, ("router", "wan", f"{EXTERNAL}/24")):
            self._hosts.give(which, device, address)
        self._hosts.route("lan", "default", GATEWAY)
        self._hosts.forwards("router")
        (self.folder / "rules").write_text(_RULES % self._rule)
        self._hosts.must("router", "nft", "--file", self.folder / "rules")
        self._listener = self._spawn("listener", "lan", sys.executable, "-c", _LISTEN)
        self.start_daemon()
        self.wait(lambda: "listens" in self.log("listener"), "the port is listened on")

    def stop(self) -> None:
        """End the processes, then the namespaces."""
        for child in (self._client, self._daemon, self._listener):
            if child is not None:
                child.stop()
        self._hosts.stop()

    def start_daemon(self) -> None:
        """Start miniupnpd; returns when it listens."""
        (self.folder / "miniupnpd.conf").write_text(
            f"ext_ifname=wan\nlistening_ip=lan\nipv6_disable=yes\nmin_lifetime=5\nmax_lifetime=86400\n"
            f"uuid=c4fb441d-b468-4ffa-81cf-fbbfa6669948\n{self._options}\n"
        )
        pid_file = self.folder / "miniupnpd.pid"
        command = ["miniupnpd", "-d", "-f", str(self.folder / "miniupnpd.conf"), "-P", str(pid_file)]
        self._daemon = self._spawn("miniupnpd", "router", *command)
        self.wait(lambda: "HTTP listening" in self.log("miniupnpd"), "miniupnpd listens")

    def stop_daemon(self) -> None:
        """End miniupnpd, and what it has mapped with it, as if the router had lost its power."""
        assert self._daemon is not None
        self._daemon.stop()
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            self._hosts.must("router", "nft", "flush", "chain", "inet", "filter", chain)

    def drop_lan(self) -> None:
        """Let the router be deaf and dumb on the home's side."""
        self._hosts.must("router", "ip", "link", "set", "lan", "down")

    def change_address(self, address: str = OTHER_EXTERNAL) -> None:
        """Give the router another external address."""
        self._hosts.must("router", "ip", "address", "delete", f"{EXTERNAL}/24", "dev", "wan")
        self._hosts.give("router", "wan", f"{address}/24")

    def start_client(self, *arguments: str) -> None:
        """Start `tests.interop.mapped`, which has the port mapped."""
        self._client = self._spawn("client", "lan", sys.executable, "-m", "tests.interop.mapped", *arguments)

    def stop_client(self) -> float:
        """SIGTERM; returns after how many seconds it had ended with status 0."""
        assert self._client is not None
        began = time.monotonic()
        self._client.stop()
        assert self._client.process.returncode == 0, self.log("client")
        return time.monotonic() - began

    def kill_client(self) -> None:
        """SIGKILL."""
        assert self._client is not None
        self._client.process.kill()
        self._client.process.wait()

    def dial(self, address: str = EXTERNAL, port: int = 4443) -> bool:
        """Whether a TCP connection from outside arrives at the listener."""
        dialled = finish(*self._hosts.at("out", sys.executable, "-c", _DIAL, address, str(port)))
        return dialled.returncode == 0 and GREETING in dialled.stdout

    def log(self, name: str) -> str:
        """What the child `client`, `listener` or `miniupnpd` has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait(self, holds: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Return when it holds; raises AssertionError with what everybody has printed."""
        give_up = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > give_up:
                logs = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-4000:]}" for log in self._logs())
                raise AssertionError(f"not within {seconds} seconds: {what}\n{logs}")
            time.sleep(0.1)

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def _spawn(self, name: str, which: str, *command: str) -> Child:
        return spawn(name, self._hosts.at(which, *command), self.folder, 0)
