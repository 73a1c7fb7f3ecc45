"""Our client against our own broker and DNS server, in the place of libp2p.direct's."""

import sys
from pathlib import Path
from typing import Any

from nodetrust.keyfile import load, load_or_create
from nodetrust.service import KEY_FILE
from tests.interop.libp2p_direct import DOMAIN, FORGE_HTTP_PORT, NODE, OUTSIDE, REGISTRATION, ZONE, Libp2pDirect
from tests.interop.test_p2p_forge import NamespacesTestCase
from tests.interop.test_twistd import TWISTD
from tests.toml import to_toml

ANSWERS = "the AutoTLS broker answers HTTP on"


class OurServers(Libp2pDirect):
    """The same, but for the servers at libp2p.direct."""

    def _start_server(self, token: str) -> None:
        (self.folder / "zone").write_text(ZONE)
        broker, dns = (load_or_create(self._state(role) / KEY_FILE).peer_id for role in ("autotls", "dns"))
        self._start_role(
            "dns",
            zone=DOMAIN,
            zone_file=str(self.folder / "zone"),
            listen=[f"/ip4/{OUTSIDE}/tcp/8953"],
            listen_dns=[f"{OUTSIDE}:53"],
            admins=[str(broker)],
            max_tcp_per_client=1000,
        )
        (self.folder / "token").write_text(token)
        self._start_role(
            "autotls",
            zone=DOMAIN,
            registration_name=[REGISTRATION],
            dns_servers=[f"/ip4/{OUTSIDE}/tcp/8953/p2p/{dns}"],
            external_tls=[f"127.0.0.1:{FORGE_HTTP_PORT}"],
            **({"access_token_file": str(self.folder / "token")} if token else {}),
        )
        self.wait(lambda: ANSWERS in self.log("autotls"), ANSWERS, 30)

    def _start_role(self, role: str, **settings: Any) -> None:
        file = self.folder / f"{role}.toml"
        lines = {"state": str(self._state(role)), **settings}
        file.write_text(to_toml(lines))
        self.start_child(role, "outside", sys.executable, *TWISTD, f"nodetrust-{role}", "--config", file)

    def _state(self, role: str) -> Path:
        folder = self.folder / role
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


class OurBrokerTests(NamespacesTestCase):
    """What p2p-forge does for our client, ours does."""

    def make_world(self, folder: Path) -> Libp2pDirect:
        return OurServers(folder, Path(), self.tools.pebble)

    async def test_go_dials_it(self) -> None:
        """The certificate is for the peer's name, which our DNS server answers; go-libp2p dials it over WSS."""
        await self.run_forge()
        self.start_client()
        self.assertEqual((await self.certificate()).names, {f"*.{self.name}"})
        peer = load(self.state / KEY_FILE).peer_id
        command = self.world.hosts.at("outside", self.tools.go_peer)
        go = await self._start("go", command, {}, {"listen": [], "roots": str(self.world.wss_root)})
        address = f"/dns4/{NODE.replace('.', '-')}.{self.name}/tcp/4443/tls/ws/p2p/{peer}"
        self.assertEqual((await go.command("dial", addr=address))["peer"], str(peer))
        self.stop_client()

    async def test_once_and_again(self) -> None:
        """The command hands out the same certificate until it is due, and a new one with --new-key."""
        await self.run_forge()
        status, first, errors = await self.obtain()
        self.assertEqual((status, errors, first["from_cache"]), (0, "", False))
        self.assertEqual(await self.obtain(), (0, {**first, "from_cache": True}, ""))
        leaf = self.leaf()
        self.assertEqual((await self.obtain("--new-key"))[0], 0)
        self.assertNotEqual(self.leaf(), leaf)

    async def test_taken_back(self) -> None:
        """When the command ends, the DNS server has forgotten the challenge."""
        await self.run_forge()
        self.assertEqual((await self.obtain())[0], 0)
        self.assertEqual(self.world.log("dns").count(f"removed a challenge for {self.name}"), 1)

    async def test_no_address_that_the_broker_reaches(self) -> None:
        """Its words about the address come through."""
        await self.run_forge()
        closed = ("--listen", "/ip4/127.0.0.1/tcp/0", "--announce", f"/ip4/{NODE}/tcp/4009")
        status, _, errors = await self.obtain(*closed)
        self.assertEqual(status, 5)
        self.assertIn(f"/ip4/{NODE}/tcp/4009", errors)

    async def test_an_access_token(self) -> None:
        """Without it the broker is closed, with it open."""
        await self.run_forge(token="only-for-friends")
        status, _, errors = await self.obtain()
        self.assertEqual(status, 5)
        self.assertIn("set forge_token", errors)
        self.assertEqual((await self.obtain("--forge-token", "only-for-friends"))[0], 0)
