"""Pebble, Let's Encrypt's own test CA, as a child process.

It runs in strict mode, refuses one good nonce in twenty and reuses half of the valid authorizations, as it does by
default. It looks names up at one DNS server, over TCP, and signs from a root that is new at each start.

2.10.3 at least: earlier ones hung for ever where an order was asked for in the very moment in which it became valid,
and did not find the certificate to be replaced where its serial number has a leading zero octet in DER, one in 128.
"""

import json
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet import ssl
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, FileBodyProducer, ResponseNeverReceived, readBody
from twisted.web.http import BAD_REQUEST
from twisted.web.http_headers import Headers

from tests.interop.certificates import CertificateFiles, make_certificate
from tests.interop.harness import Program, ProgramError

START_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.05

PROFILES = {
    "default": {"description": "ninety days", "validityPeriod": 7_776_000},
    "shortlived": {"description": "six days", "validityPeriod": 518_400},
    "tlsserver": {"description": "forty-five days", "validityPeriod": 3_888_000},
    "minute": {"description": "for renewals that a test can wait for", "validityPeriod": 60},
    "seconds": {"description": "for many renewals in a row", "validityPeriod": 8},
}


def free_ports(number: int, host: str = "127.0.0.1") -> list[int]:
    """Different TCP ports that were free a moment ago: Pebble can't be told to choose one and say which."""
    with ExitStack() as bound:
        probes = [bound.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in probes]


class Pebble(Program):
    """After `start`: `directory` is the ACME URL, `https_root` the PEM file to trust there, `root_pem` signs."""

    def __init__(self, reactor: Any = default_reactor) -> None:
        super().__init__("pebble", reactor)
        self.directory = ""
        self.https_root: Path
        self.root_pem = b""

    async def start(
        self,
        program: Path,
        folder: Path,
        dns_server: str,
        *,
        bad_nonce_percent: int | None = None,
        environment: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Run it with its files in `folder`; `dns_server` is "host:port". It validates at once.

        `environment` has further PEBBLE_ variables, and other values for those set here; so has `settings` for the
        configuration file.
        """
        port, management_port = free_ports(2)
        files = make_certificate(folder, ["127.0.0.1", "localhost"])
        configuration = folder / "pebble.json"
        own_settings = self._settings(port, management_port, files)
        configuration.write_text(json.dumps({"pebble": {**own_settings, **(settings or {})}}))
        self.directory = f"https://127.0.0.1:{port}/dir"
        self.https_root = files.root
        refused = {} if bad_nonce_percent is None else {"PEBBLE_WFE_NONCEREJECT": str(bad_nonce_percent)}
        self.spawn(
            [program, "-config", configuration, "-strict", "-dnsserver", dns_server],
            {"PEBBLE_VA_NOSLEEP": "1"} | refused | dict(environment or {}),
        )
        self._management = f"https://127.0.0.1:{management_port}"
        await self._request(self.directory)
        self.root_pem = await self.root(0)

    async def root(self, number: int) -> bytes:
        """One of the roots that it signs from, PEM; further ones are those of the alternate chains."""
        return await self._request(f"{self._management}/roots/{number}")

    async def tell_renewal(self, certificate_pem: bytes, answer: str) -> None:
        """Have it say this, JSON or not, when it is asked when to renew the certificate."""
        told = {"Certificate": certificate_pem.decode(), "ARIResponse": answer}
        await self._request(f"{self._management}/set-renewal-info/", json.dumps(told).encode())

    @staticmethod
    def _settings(port: int, management_port: int, files: CertificateFiles) -> dict[str, Any]:
        return {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{management_port}",
            "certificate": str(files.certificate),
            "privateKey": str(files.key),
            "keyAlgorithm": "ecdsa",
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": PROFILES,
        }

    async def _request(self, url: str, body: bytes | None = None) -> bytes:
        """What it answers at `url` (to a POST if there is a body); asks again as long as nothing listens there yet."""
        root = ssl.Certificate.loadPEM(self.https_root.read_bytes())
        agent = Agent(self._reactor, BrowserLikePolicyForHTTPS(ssl.trustRootFromCertificates([root])))
        give_up = self._reactor.seconds() + START_SECONDS
        headers = Headers({"User-Agent": ["nodetrust-tests"]})  # which a strict Pebble wants
        method, producer = (b"GET", None) if body is None else (b"POST", FileBodyProducer(BytesIO(body)))
        while not self.ended and self._reactor.seconds() < give_up:
            try:
                response = await agent.request(method, url.encode(), headers, producer)
            except (ConnectError, ResponseNeverReceived):
                await deferLater(self._reactor, LOOK_AGAIN_SECONDS)
                continue
            answer: bytes = await readBody(response)
            if response.code >= BAD_REQUEST:
                raise ProgramError(f"pebble answers {response.code} at {url}: {answer!r}{self.printed()}")
            return answer
        raise ProgramError(f"pebble does not answer at {url}{self.printed()}")
