"""step-ca, smallstep's CA, as a child process: with a root and an authority below it that are new at each start."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.interop.certificates import make_authority
from tests.interop.harness import Daemon
from tests.interop.site import Site

PORT = 9000
LIFE = "2160h"
"""Ninety days; of itself it signs for one, which js-libp2p renews all the time."""


class StepCa(Daemon):
    """After `begin`: `directory` is the ACME URL, `root` the PEM file that is above its HTTPS and all that it signs."""

    def __init__(self) -> None:
        super().__init__("step-ca")
        self.directory = ""
        self.root: Path

    async def begin(self, program: Path, site: Site, name: str, resolver: str) -> None:
        """Run it at the servers' host, where it has this DNS name; `resolver` is whom it asks for challenges."""
        files = make_authority(site.folder / "ca")
        provisioner = {
            "type": "ACME",
            "name": "acme",
            "challenges": ["dns-01"],
            "claims": {"defaultTLSCertDuration": LIFE, "maxTLSCertDuration": LIFE},
        }
        configuration = {
            "root": str(files.root),
            "crt": str(files.certificate),
            "key": str(files.key),
            "address": f":{PORT}",
            "dnsNames": [name],
            "logger": {"format": "json"},
            "db": {"type": "bbolt", "dataSource": str(site.folder / "ca" / "db")},
            "authority": {"provisioners": [provisioner]},
        }
        file = site.folder / "ca" / "ca.json"
        file.write_text(json.dumps(configuration))
        self.directory, self.root = f"https://{name}:{PORT}/acme/acme/directory", files.root
        # its log is on standard error
        command: list[str | Path] = ["sh", "-c", 'exec "$0" "$@" 2>&1', program, "--resolver", resolver, file]
        site.run(self, "servers", command, {"STEPPATH": str(site.folder / "ca")})
        await self.logged("(Serving HTTPS)")

    def requests(self, kind: str, *ips: str) -> list[str]:
        """Where the requests of a kind came from, such as `new-order`; only those from `ips`, if there are any."""
        asked = (one for one in self._logged() if f"/acme/acme/{kind}" in one.get("path", ""))
        return [one["remote-address"] for one in asked if not ips or one["remote-address"] in ips]

    def _logged(self) -> Iterator[dict[str, Any]]:
        for line in self.lines:
            if line.startswith("{"):
                yield json.loads(line)
