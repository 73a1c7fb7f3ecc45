"""certbot and lego order certificates of Pebble's for a host of the zone, with hooks as docs/issuing.md has them."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.dns.settings import DnsSettings
from nodetrust.keyfile import load_or_create
from nodetrust.settings import ZoneName
from tests.debian import find
from tests.interop import toolchain
from tests.interop.documented import block
from tests.interop.harness import ProgramError
from tests.interop.roles import ZONE, Roles, full_addresses
from tests.interop.test_end_to_end import PebbleTestCase
from tests.interop.toolchain import CHECKOUT

NAME = f"www.{ZONE}"
DOCUMENTED_NAME = "www.nt.example.org"
PAGE = "issuing.md"


class SharedZone(Roles):
    """Besides the issue server, the owner of `hooks.key` may set challenges, but for one name alone."""

    @property
    def key(self) -> Path:
        """The hooks' key."""
        return self.folder / "hooks.key"

    def _dns_settings(self, issuers: Sequence[str]) -> DnsSettings:
        settings = super()._dns_settings(issuers)
        hooks = load_or_create(self.key).peer_id
        return replace(
            settings,
            admins=(*settings.admins, hooks),
            admin_scopes=(f"{hooks}={NAME}",),
            challenge_names=(ZoneName(NAME),),
        )


class OtherClientsTests(PebbleTestCase):
    """A name and the wildcard below it: two challenges at one name. Afterwards none is left."""

    async def start_zone(self) -> None:
        """The servers, a `nodetrust` on the PATH, and the hooks' settings in the environment."""
        self.roles = SharedZone(self.tools.pebble, Path(self.mktemp()))
        self.roles.folder.mkdir()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.roles.stop()))
        # certbot gives up at the second bad nonce, and answers challenges of what is authorized already.
        await self.roles.start_surroundings(bad_nonce_percent=0, pebble_environment={"PEBBLE_AUTHZREUSE": "0"})
        answering: Any = self.roles.dns._answering
        self.counters = answering.responder.counters
        self.write(
            "nodetrust", f'#!/bin/sh\nexec {sys.executable} -c "from nodetrust.command.main import main; main()" "$@"\n'
        )
        servers = full_addresses(self.roles.dns.host)
        self.environment = {
            **os.environ,
            "PATH": f"{self.roles.folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "NODETRUST_PEER_KEY": str(self.roles.key),
            "NODETRUST_DNS_SERVERS": " ".join(map(str, servers)),
        }

    def write(self, name: str, text: str) -> Path:
        """A program."""
        file = self.roles.folder / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    async def run_to_end(self, *command: object, **environment: str) -> None:
        program, *arguments = map(str, command)
        out, err, status = await getProcessOutputAndValue(program, arguments, {**self.environment, **environment})
        if status != 0:
            raise ProgramError(f"{program} ended with {status}:\n{(out + err).decode()}")

    def documented(self, after: str) -> list[str]:
        """The words of a command in the page, for our name."""
        return shlex.split(block(PAGE, after).replace(DOCUMENTED_NAME, NAME).replace("\\\n", ""))

    def check_obtained(self, chain: Path) -> None:
        """For both names; both challenges were set, and removed again."""
        self.check_chain(self.roles, chain.read_bytes(), {NAME, f"*.{NAME}"})
        counts = self.counters
        self.assertEqual((counts.challenges_added, counts.challenges_removed, counts.challenges_refused), (2, 2, 0))

    async def test_certbot(self) -> None:
        """Its own way of calling hooks: a shell, with variables."""
        certbot = toolchain.require_certbot()
        await self.start_zone()
        folder = self.roles.folder / "certbot"
        _, *command = self.documented("With certbot")
        places = [f"--{what}-dir={folder / what}" for what in ("config", "work", "logs")]
        account = ["--agree-tos", "--register-unsafely-without-email", "--non-interactive"]
        server = ["--server", self.roles.pebble.directory]
        root = str(self.roles.pebble.https_root)
        await self.run_to_end(certbot, *command, *places, *account, *server, REQUESTS_CA_BUNDLE=root)
        self.check_obtained(folder / "config" / "live" / NAME / "fullchain.pem")

    async def test_lego(self) -> None:
        """A script that is told a verb, the record's name and the value."""
        toolchain.require_lego()
        await self.start_zone()
        folder = self.roles.folder / "lego"
        _, *command, run = self.documented("and whose command is")
        script = self.write("hook", block(PAGE, "With lego"))
        # It would ask the zone's name servers on port 53, whether they have the value.
        here = ["--dns.disable-cp", "--dns.resolvers", str(self.roles.name_server)]
        options = ["--accept-tos", "--path", folder, "--server", self.roles.pebble.directory, *here]
        root = str(self.roles.pebble.https_root)
        # Of itself it rests for a minute between one challenge and the next.
        environment = {"EXEC_PATH": str(script), "EXEC_SEQUENCE_INTERVAL": "1", "LEGO_CA_CERTIFICATES": root}
        await self.run_to_end(find("lego"), *command, *options, run, **environment)
        self.check_obtained(folder / "certificates" / f"{NAME}.crt")
