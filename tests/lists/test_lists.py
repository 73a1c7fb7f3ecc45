"""Lists of prefixes and peers: read, asked, put together, and read again."""

import contextlib
import os
from ipaddress import ip_address, ip_network
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.lists import wire
from nodetrust.lists.entries import Entries
from nodetrust.lists.errors import ListError
from nodetrust.lists.files import POLL_SECONDS, ListFile, ListFiles, ListState
from nodetrust.lists.lists import Lists
from nodetrust.lists.prefixes import PrefixSet
from nodetrust.lists.wire import read_list
from tests.dns.threads import ThreadlessClock

NETWORKS = st.one_of(
    st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 32)).map(
        lambda pair: ip_network((pair[0].to_bytes(4, "big"), pair[1]), strict=False)
    ),
    st.tuples(st.integers(0, (1 << 128) - 1), st.integers(0, 128)).map(
        lambda pair: ip_network((pair[0].to_bytes(16, "big"), pair[1]), strict=False)
    ),
)


def prefixes(*texts: str) -> Entries:
    return Entries(PrefixSet(map(ip_network, texts)))


def packed(text: str) -> bytes:
    return ip_address(text).packed


class PrefixSetTests(SynchronousTestCase):
    """`PrefixSet`."""

    @given(st.lists(NETWORKS, max_size=8), st.one_of(st.ip_addresses(), NETWORKS.map(lambda n: n[-1])))
    def test_like_ipaddress(self, networks: list, address: object) -> None:
        """It says the same as the standard library says for each prefix by itself."""
        for place in (address, *(network[0] for network in networks)):
            expected = any(place in network for network in networks)
            self.assertEqual(place.packed in PrefixSet(networks), expected)


class ReadingTests(SynchronousTestCase):
    """`read_list`."""

    def test_comments_and_forms(self) -> None:
        """Comments, empty lines, single addresses, line ends of any kind."""
        content = b"# DROP\r\n192.0.2.0/24 ; SBL1\n\n 2001:db8::/32#x\n198.51.100.1\n"
        self.assertEqual(
            read_list(content, "x").prefixes.networks,
            {ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"), ip_network("198.51.100.1/32")},
        )

    def test_peer_ids(self) -> None:
        """A peer ID stands on a line as a prefix does, in base58 or as a CID."""
        one, two = (PrivateKey.generate().peer_id for _ in range(2))
        content = f"{one} # spam\n192.0.2.0/24\n{two.to_cid_base36()}\n{one}\n".encode()
        entries = read_list(content, "x")
        self.assertEqual((entries.peers, len(entries)), ({one, two}, 3))

    def test_refused(self) -> None:
        """What is wrong is named with its line, and nothing of such a list is used."""
        peer = str(PrivateKey.generate().peer_id)
        for line in (
            "192.0.2.1/24",
            "300.1.1.1",
            "example.org",
            "192.0.2.0/24 198.51.100.0/24",
            "::ffff:192.0.2.1",
            peer[:-1],
            peer + "1",
            f"{peer} {peer}",
            "12D3KooW",
            "Q" * 10_000,
        ):
            error = self.assertRaises(ListError, read_list, f"192.0.2.0/24\n{line}\n".encode(), "the.list")
            self.assertTrue(str(error).startswith("the.list:2: "), error)
        many = b"".join(b"1.%d.%d.0/24\n" % (high, low) for high in range(256) for low in range(256))
        self.patch(wire, "MAX_ENTRIES", 65_535)
        self.assertTrue(str(self.assertRaises(ListError, read_list, many, "x")).startswith("x:65536: more than"))
        self.assertRaises(ListError, read_list, b"\xff", "x")
        self.assertIn("larger", str(self.assertRaises(ListError, read_list, bytes(17 << 20), "x")))

    def test_others_may_not_deny_everything(self) -> None:
        """One line of somebody else's list may cover an IPv4 /8 or an IPv6 /16; one of our own may cover all."""
        for line in (b"0.0.0.0/0", b"128.0.0.0/7", b"::/0", b"2000::/15"):
            self.assertRaises(ListError, read_list, line, "x", from_others=True)
            self.assertEqual(len(read_list(line, "x")), 1)
        self.assertEqual(len(read_list(b"10.0.0.0/8\n2001::/16", "x", from_others=True)), 2)

    @given(st.one_of(st.binary(max_size=60), st.text("0123456789abcdef:./# \n").map(str.encode)))
    def test_garbage(self, content: bytes) -> None:
        """Any content is a list or refused."""
        with contextlib.suppress(ListError):
            read_list(content, "x")


class ListsTests(SynchronousTestCase):
    """`Lists`."""

    def test_allowed_first(self) -> None:
        """Allow wins, whichever prefix is longer."""
        lists = Lists(prefixes("1.2.3.4/32"), prefixes("1.0.0.0/8"))
        self.assertFalse(lists.deny(packed("1.2.3.4")))

    def test_ipv4_inside_ipv6(self) -> None:
        """A mapped, translated or tunnelled address is denied as the IPv4 address that it leads to, and as itself."""
        lists = Lists(prefixes("1.2.3.0/24", "2002:505::/32"), prefixes("1.2.3.9"))
        for form in ("::ffff:{}", "64:ff9b::{}", "2002:{}::1", "2001:0:505:505::{}"):
            for last, denied in ((4, True), (9, False)):
                plain = 0x01020300 + last
                spelled = plain ^ 0xFFFFFFFF if form.startswith("2001") else plain
                text = form.format(f"{spelled >> 16:x}:{spelled & 0xFFFF:x}")
                self.assertEqual(lists.deny(packed(text)), denied, text)
        self.assertTrue(lists.deny(packed("2002:505::1")))
        self.assertFalse(lists.deny(packed("2003:102:304::1")))

    def test_peers(self) -> None:
        """A peer is denied for itself or for any address where it is; allowed for itself, or where each is allowed."""
        bad, good, other = (PrivateKey.generate().peer_id for _ in range(3))
        here, there, safe = map(ip_address, ("1.2.3.4", "5.6.7.8", "9.9.9.9"))
        denied = Entries(prefixes("1.0.0.0/8").prefixes, frozenset([bad]))
        lists = Lists(denied, Entries(prefixes("9.9.9.9").prefixes, frozenset([good])))
        for peer, places, expected in (
            (bad, (), True),
            (bad, (there,), True),
            (bad, (safe,), False),
            (bad, (safe, there), True),
            (good, (), False),
            (good, (here,), False),
            (other, (), False),
            (other, (there,), False),
            (other, (there, here), True),
            (other, (safe, here), True),
        ):
            self.assertEqual(lists.deny_peer(peer, places), expected, (peer, places))


class FileTests(SynchronousTestCase):
    """`ListFiles`."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.deny, self.allow, self.fetched = folder / "deny", folder / "allow", folder / "fetched"
        self.deny.write_text("1.2.0.0/16\n")
        self.allow.write_text("1.2.3.0/24\n")
        self.reactor = ThreadlessClock()
        self.in_force: list[Lists] = []
        files = [ListFile(self.deny), ListFile(self.allow, allows=True), ListFile(self.fetched, fetched=True)]
        self.files = ListFiles(self.reactor, files, self.in_force.append)

    def tick(self) -> None:
        self.reactor.advance(POLL_SECONDS)

    def test_changes(self) -> None:
        """What changes is in force within seconds, whole and only once, and the log has one line."""
        first = self.files.load()
        self.assertEqual([first.deny(packed(a)) for a in ("1.2.4.4", "1.2.3.4", "5.6.7.8")], [True, False, False])
        self.files.start()
        self.tick()
        self.assertEqual(self.in_force, [])
        self.deny.write_text("1.2.0.0/16\n5.6.7.8\n")
        with capturedLogs() as events:
            self.tick()
            self.tick()
        (lists,) = self.in_force
        self.assertEqual([lists.deny(packed(a)) for a in ("1.2.4.4", "1.2.3.4", "5.6.7.8")], [True, False, True])
        ((count, added, removed),) = [(e["count"], e["added"], e["removed"]) for e in events]
        self.assertEqual((count, added, removed), (2, 1, 0))

    def test_broken(self) -> None:
        """A list that is refused or gone stays in force as it was, and is mentioned once, until it is right again."""
        self.files.load()
        self.files.start()
        for change in (lambda: self.deny.write_text("1.2.3\n"), self.deny.unlink):
            change()
            with capturedLogs() as events:
                self.tick()
                self.tick()
            self.assertEqual([event["log_level"].name for event in events], ["error"])
            self.assertTrue(self.in_force[-1].deny(packed("1.2.4.4")))
        self.deny.write_text("9.9.9.9\n")
        self.tick()
        self.assertFalse(self.in_force[-1].deny(packed("1.2.4.4")))
        self.assertTrue(self.in_force[-1].deny(packed("9.9.9.9")))

    def test_start(self) -> None:
        """A server does not start without its operator's lists; what is to be fetched may be missing."""
        self.files.load()
        self.fetched.write_text("7.7.7.7\n")
        self.assertTrue(self.files.load().deny(packed("7.7.7.7")))
        self.deny.unlink()
        self.assertRaises(ListError, self.files.load)

    def test_states(self) -> None:
        """Each list says how much it has in force and since when: what was refused changes neither."""
        self.files.load()
        os.utime(self.deny, (1000, 1000))
        self.files.start()
        self.tick()
        states = {state.name: state for state in self.files.states}
        self.assertEqual(states[str(self.deny)], ListState(str(self.deny), False, 1, 1000.0))
        self.assertEqual((states[str(self.allow)].allows, states[str(self.allow)].entries), (True, 1))
        self.assertEqual(states[str(self.fetched)], ListState(str(self.fetched), False, 0, None))
        self.deny.write_text("1.2.3\n")
        self.tick()
        self.assertEqual(states[str(self.deny)], self.files.states[0])
        self.deny.write_text("1.2.3.4\n5.6.7.8\n")
        os.utime(self.deny, (2000, 2000))
        self.tick()
        self.assertEqual(self.files.states[0], ListState(str(self.deny), False, 2, 2000.0))

    def test_stop(self) -> None:
        """After stop, files are looked at no more."""
        self.files.load()
        self.files.start()
        self.files.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
