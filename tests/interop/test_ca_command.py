"""`nodetrust ca` changes real accounts at Pebble."""

import os
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from tests.interop.harness import InteropTestCase
from tests.interop.roles import ZONE, Roles
from tests.interop.toolchain import CHECKOUT

PROGRAM = ["-c", "from nodetrust.command.main import main; main()", "ca"]


class CaCommandTests(InteropTestCase):
    """As an operator calls it, beside an issue server whose store has an account and certificates."""

    def setUp(self) -> None:
        """Roles that are stopped with the test."""
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.roles = Roles(self.tools.pebble, self.folder)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.roles.stop()))

    async def run_ca(self, command: str, *arguments: str, status: int = 0) -> str:
        """Run it in a process of its own; what it printed on both ways."""
        full = [*PROGRAM, command, "--config", str(self.configuration()), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        output, errors, actual = await getProcessOutputAndValue(sys.executable, full, env=environment)
        text: str = (output + errors).decode()
        self.assertEqual(actual, status, text)
        self.assertNotIn("Traceback", text)
        return text

    def configuration(self) -> Path:
        """The issue server's settings as a file."""
        settings = self.roles.issue_settings()
        listed = {"proof_servers": settings.proof_servers, "dns_servers": settings.dns_servers}
        lines = [f"{key} = {[str(one) for one in addresses]}" for key, addresses in listed.items()]
        lines += [f'zone = "{ZONE}"', f'state = "{settings.state}"', "agree_to_terms = true", "allow_private = true"]
        lines += [f'acme_directory = "{settings.acme_directory}"', f'acme_ca_file = "{settings.acme_ca_file}"']
        file = self.folder / "issue.toml"
        file.write_text("\n".join(lines))
        return file

    async def certificate(self) -> Path:
        """Have the issue server order one for a new peer; it is stopped afterwards."""
        issue = await self.roles.start_issue()
        asker = self.roles.asker("127.0.0.1", issue=issue)
        obtained = await asker.ask()
        await issue.stop()
        file = self.folder / "cert.pem"
        file.write_bytes(obtained.chain.leaf_pem)
        return file

    async def test_a_life_of_an_account(self) -> None:
        """Shown, told of a contact, given another key, used with that, and ended."""
        await self.roles.start_surroundings()
        self.assertIn("none yet", await self.run_ca("show"))
        await self.certificate()
        self.assertIn("(valid)", await self.run_ca("show"))
        self.assertIn("mailto:you@example.org", await self.run_ca("contact", "you@example.org"))
        self.assertIn("new key", await self.run_ca("rollover"))
        shown = await self.run_ca("show")
        self.assertIn("mailto:you@example.org", shown)
        await self.certificate()
        self.assertEqual(await self.run_ca("show"), shown)
        self.assertIn("has ended", await self.run_ca("deactivate", "--yes"))
        self.assertIn("none yet", await self.run_ca("show"))

    async def test_revoke(self) -> None:
        """Once; a second time it was done before. Another account's, or no certificate, is refused."""
        await self.roles.start_surroundings()
        file = await self.certificate()
        self.assertEqual(await self.run_ca("revoke", "--reason", "superseded", str(file)), "revoked\n")
        self.assertIn("before", await self.run_ca("revoke", str(file)))
        self.assertIn("no PEM", await self.run_ca("revoke", str(self.configuration()), status=1))

    async def test_revoked_is_not_handed_out(self) -> None:
        """The peer that asks for the same again gets another one."""
        await self.roles.start_servers()
        asker = self.roles.asker("127.0.0.1")
        first = (await asker.ask()).chain
        self.assertEqual((await asker.ask()).chain, first)
        file = self.folder / "cert.pem"
        file.write_bytes(first.leaf_pem)
        await self.run_ca("revoke", str(file))
        self.assertNotEqual((await asker.ask()).chain, first)

    async def test_not_beside_a_running_server(self) -> None:
        """A server that has the old key in memory would go on with it."""
        await self.roles.start_servers()
        self.assertIn("is running", await self.run_ca("rollover", status=1))
        self.assertIn("is running", await self.run_ca("deactivate", "--yes", status=1))
