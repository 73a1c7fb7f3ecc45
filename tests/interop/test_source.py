"""A machine with temporary IPv6 addresses, as the kernel makes them: it dials from the lasting one."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.interop import toolchain
from tests.interop.test_twistd import ENVIRONMENT
from tests.namespaces import Hosts, must

LASTING, THERE = "2a00:4530:9::5", "2a00:4530:9::9"
SECONDS = 30

_WHO_COMES = f"""
import socket
listener = socket.create_server(("{THERE}", 4001), family=socket.AF_INET6)
listener.settimeout({SECONDS})
print("listens", flush=True)
print(listener.accept()[1][0])
"""

_GO_THERE = f"""
import socket
from contextlib import suppress
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from nodetrust.client.whereabouts import own_addresses
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

async def main(reactor):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as way:
        way.connect(("{THERE}", 9))
        print(way.getsockname()[0])
    print(*own_addresses())
    host = Host(reactor, PrivateKey.generate())
    with suppress(Libp2pError):  # whoever is there hangs up
        await host.connect([Multiaddr.parse("/ip6/{THERE}/tcp/4001").with_peer_id(PrivateKey.generate().peer_id)])
    await host.stop()

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


class TemporaryAddressTests(SynchronousTestCase):
    """Two hosts and a cable."""

    def test_dialled_from_the_lasting_one(self) -> None:
        """The system by itself would take the temporary one, and have a client proven anew each day."""
        toolchain.require_namespaces()
        hosts = Hosts("node", "there")
        self.addCleanup(hosts.stop)
        hosts.start()
        hosts.cable("node", "eth0", "there", "eth0")
        hosts.give("there", "eth0", f"{THERE}/64")
        hosts.must("node", "sysctl", "--quiet", "--write", "net.ipv6.conf.eth0.use_tempaddr=2")
        hosts.give("node", "eth0")
        hosts.must("node", "ip", "address", "add", f"{LASTING}/64", "dev", "eth0", "mngtmpaddr")
        hosts.must("node", "ip", "-6", "route", "add", "default", "via", THERE)
        listen = hosts.at("there", sys.executable, "-c", _WHO_COMES)
        with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            self.assertEqual(listener.stdout.readline(), "listens\n")
            go = hosts.at("node", "env", f"PYTHONPATH={ENVIRONMENT['PYTHONPATH']}", sys.executable, "-c", _GO_THERE)
            by_the_system, own = must(*go).split()
            who_came = listener.stdout.read().strip()
        self.assertNotEqual(by_the_system, LASTING)
        self.assertEqual((own, who_came), (LASTING, LASTING))
