"""One number for UDP and TCP."""

import errno
import socket

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.errors import CannotBind
from nodetrust.dns.transport.sockets import TRIES, open_sockets
from nodetrust.settings import HostPort


class FakeSocket:
    """Remembers what was asked of it."""

    def __init__(self, system: "FakeSystem", kind: socket.SocketKind) -> None:
        self.system = system
        self.kind = kind
        self.open = True
        self.options: set[int] = set()

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.add(option)

    def bind(self, place: tuple[str, int]) -> None:
        self.port = place[1] or 40000 + len(self.system.sockets)
        if self.kind == socket.SOCK_STREAM and self.system.refusals:
            self.system.refusals -= 1
            raise OSError(errno.EADDRINUSE, "in use")

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def listen(self, backlog: int) -> None:
        pass

    def close(self) -> None:
        self.open = False


class FakeSystem:
    """Gives any UDP port; refuses TCP as often as told."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.sockets: list[FakeSocket] = []

    def make(self, family: socket.AddressFamily, kind: socket.SocketKind) -> FakeSocket:
        self.sockets.append(FakeSocket(self, kind))
        return self.sockets[-1]


class OpenSocketsTests(SynchronousTestCase):
    """`open_sockets`."""

    def test_tries_again(self) -> None:
        """When TCP has no port of the number that UDP got, another number is tried and the first let go."""
        system = FakeSystem(2)
        opened = open_sockets(HostPort("127.0.0.1", 0), make_socket=system.make)
        self.assertEqual(opened.place, HostPort("127.0.0.1", 40005))
        self.assertEqual([one.open for one in system.sockets], [False] * 4 + [True] * 2)
        opened.close()
        self.assertEqual([one.open for one in system.sockets], [False] * 6)

    def test_gives_up(self) -> None:
        """A port that was asked for is tried once, any other a bounded number of times; nothing stays open."""
        for port, tries in ((53, 1), (0, TRIES)):
            system = FakeSystem(1000)
            error = self.assertRaises(CannotBind, open_sockets, HostPort("127.0.0.1", port), make_socket=system.make)
            self.assertIn("over TCP: Address already in use", str(error))
            self.assertEqual([one.open for one in system.sockets], [False] * 2 * tries)

    def test_shared(self) -> None:
        """Only when told so may others bind the same address."""
        for shared in (False, True):
            system = FakeSystem(0)
            open_sockets(HostPort("::1", 53), shared=shared, make_socket=system.make)
            self.assertEqual([socket.SO_REUSEPORT in one.options for one in system.sockets], [shared] * 2)
