"""The issue server beside the least work that its certificates take.

    python -m benchmarks.issue_compare [--quick] [--profile] [--only NAME ...]

Run it in the checkout, where nothing else runs. Every server is a process of its own on loopback, the CA is Pebble of
the interop tests, which validates without a pause, by DNS queries, and says in no answer when to poll again. What is
beside it is benchmarks/issue_bare.py: messages and HTTP of the `acme` package, with its DNS answers in memory, no
disk, no libp2p, no proofs and no checks, polling every 10 ms; for one client also with the package's own polling.

    one      a certificate for one new client after the other, from `obtain` to the checked chain
    many     two hundred new peers at once, of one name and of five names each
    again    ten thousand certificates that are in the store, over open connections
    proofs   signed proofs over open connections
    idle     memory, and the time of an answer from the store, while many connections are open
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pstats
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.internet import task
from twisted.internet.defer import Deferred

from benchmarks.issue_peers import addresses_of, known_key
from benchmarks.issue_site import AT_ONCE, ZONE, Site
from nodetrust.certificates import CertificateKey, key_to_pem, make_key, public_key_der
from nodetrust.messages import ECDSA_P256
from nodetrust.names import certificate_names
from nodetrust.ordering import STORE_FILE
from nodetrust.store import Store, StoredCertificate
from nodetrust.store.certificates import add_certificate
from tests.interop.harness import Program, ProgramError
from tests.interop.pebble import Pebble, free_ports
from tests.interop.test_twistd import ENVIRONMENT

EAGER_SECONDS = 0.01
THREADS = 16
"""Of the bare script; more make it slower."""

IDLE_PROCESSES = 2
PARALLEL = 50
PEERS, KEYS = 200, 50
"""Of certificates that are asked for again: their product is ten thousand."""

PROOF_CONNECTIONS = 50

Row = tuple[str, str, str]


class Task(Program):
    """A child process whose output is JSON, a line each: a module of ours, unless it is `program`."""

    def __init__(self, *command: Any, program: Sequence[Any] = (sys.executable, "-m")) -> None:
        super().__init__(str(command[0]))
        self.told: list[Any] = []
        """Lines that nobody has asked for yet."""
        self._waiting: list[Deferred[Any]] = []
        self.spawn([*map(str, program), *map(str, command)], ENVIRONMENT)

    async def figures(self) -> Any:
        """The next line; raises `ProgramError` if there is none."""
        if self.told:
            return self.told.pop(0)
        if self.ended:
            raise ProgramError(self.printed())
        waiting: Deferred[Any] = Deferred()
        self._waiting.append(waiting)
        return await waiting

    def line_received(self, line: str) -> None:
        super().line_received(line[:500])
        told = json.loads(line)
        if self._waiting:
            self._waiting.pop(0).callback(told)
        else:
            self.told.append(told)

    def program_ended(self) -> None:
        for waiting in self._waiting:
            waiting.errback(ProgramError(self.printed()))
        self._waiting = []


def peers(name: str, **arguments: Any) -> Task:
    """A task of `benchmarks.issue_peers`."""
    return Task("benchmarks.issue_peers", name, json.dumps(arguments))


class Comparison:
    """Measures, and collects the rows of the table: what, its figure, its target."""

    def __init__(self, folder: Path, quick: bool, profile: bool = False) -> None:
        self.rows: list[Row] = []
        self._folder = folder
        self._quick = quick
        self._profile = profile

    def _row(self, what: str, figure: str, target: str = "") -> None:
        self.rows.append((what, figure, target))
        print(f"{what:62}{figure:>14}  {target}", flush=True)

    def _new_site(self, name: str) -> Site:
        return Site(self._folder / name, self._folder / f"{name}.profile" if self._profile else None)

    def show_profiles(self) -> None:
        """Where the issue server's time went, in each measurement."""
        for file in sorted(self._folder.glob("*.profile")):
            print(f"\n{file.stem}")
            pstats.Stats(str(file)).sort_stats("tottime").print_stats(45)

    async def _site(self, name: str, **settings: Any) -> Site:
        site = self._new_site(name)
        try:
            await site.start(**settings)
        except BaseException:
            await site.stop()
            raise
        return site

    async def _bare(self, orders: int, names: int, threads: int, poll_seconds: float) -> Any:
        """What the bare script needs, at a Pebble of its own."""
        [port], pebble = free_ports(1), Pebble()
        folder = self._folder / f"bare-{orders}-{names}-{poll_seconds}"
        try:
            await pebble.start(
                Site(folder).pebble_program,
                folder,
                f"127.0.0.1:{port}",
                bad_nonce_percent=0,
                environment=Site.PEBBLE,
                settings=AT_ONCE,
            )
            command = ["benchmarks.issue_bare", pebble.directory, pebble.https_root, port, orders, names]
            return await Task(*command, threads, poll_seconds).figures()
        finally:
            await pebble.stop()

    async def one(self) -> None:
        """(a)"""
        orders = 10 if self._quick else 40
        site = await self._site("one", orders_per_address=0)
        try:
            await peers("one", issuer=site.issuer, orders=3).figures()
            cpu = site.cpu_seconds()
            ours = median((await peers("one", issuer=site.issuer, orders=orders).figures())["each"])
            cpu = (site.cpu_seconds() - cpu) / orders
        finally:
            await site.stop()
        eager = median((await self._bare(orders, 2, 1, EAGER_SECONDS))["each"])
        package = median((await self._bare(4, 2, 1, 0))["each"])
        self._row("one client: obtain to certificate, ms", f"{ours * 1e3:.0f}")
        self._row("  of the issue server's CPU, ms", f"{cpu * 1e3:.0f}")
        self._row("  bare, ms", f"{eager * 1e3:.0f}", f"ours is {ours / eager:.2f} times, want 1.3")
        self._row("  bare, as the package polls, ms", f"{package * 1e3:.0f}", f"ours is {ours / package:.2f} times")

    async def many(self) -> None:
        """(b)"""
        count = 50 if self._quick else 200
        for names in (1, 5):
            site = await self._site(f"many-{names}", orders_per_address=0, orders_per_peer=0)
            try:
                await peers("one", issuer=site.issuer, orders=1).figures()
                cpu = site.cpu_seconds()
                asked = peers(
                    "many", issuer=site.issuer, proof_key_file=str(site.proof_key_file), peers=count, names=names
                )
                ours = await asked.figures()
                cpu = site.cpu_seconds() - cpu
            finally:
                await site.stop()
            bare = await self._bare(count, names, THREADS, EAGER_SECONDS)
            what = f"{count} peers at once, {names} {'name' if names == 1 else 'names'} each"
            self._row(f"{what}: all have their certificate, s", f"{ours['seconds']:.1f}")
            self._row("  that failed", str(len(ours["errors"])), (ours["errors"] or ["want 0"])[0][:150])
            self._row("  the slowest tenth waits, s", f"{ours['each'][-max(1, len(ours['each']) // 10)]:.1f}")
            self._row("  of the issue server's CPU, s", f"{cpu:.1f}")
            ratio = ours["seconds"] / bare["seconds"]
            self._row("  bare, s", f"{bare['seconds']:.1f}", f"ours is {ratio:.2f} times, want 1.5")

    async def again(self) -> None:
        """(c)"""
        keys = KEYS // 5 if self._quick else KEYS
        site = self._new_site("again")
        keys_file = await fill_store(site.folder, PEERS, keys)
        await site.start(orders_per_address=0)
        try:
            _, figures, cpu = await self._ask_again(site, keys_file, PEERS, keys)
        finally:
            await site.stop()
        count = figures["asked"]
        self._row(f"{count} certificates of the store asked for again, a second", f"{count / figures['seconds']:.0f}")
        self._row("  for each second of the issue server's CPU", f"{count / cpu:.0f}", "want 500")
        self._row("  that failed", str(len(figures["errors"])), (figures["errors"] or ["want 0"])[0][:150])

    async def _ask_again(
        self, site: Site, keys_file: Path, count: int, keys: int, parallel: int = PARALLEL
    ) -> tuple[Any, Any, float]:
        """What dialling took, what asking took, and the issue server's CPU for asking."""
        asking = peers(
            "again",
            issuer=site.issuer,
            proof_key_file=str(site.proof_key_file),
            keys_file=str(keys_file),
            peers=count,
            keys=keys,
            parallel=parallel,
        )
        dialled = await asking.figures()
        await wait(0.5)
        cpu = site.cpu_seconds()
        asked = await asking.figures()
        cpu = site.cpu_seconds() - cpu
        await asking.when_ended()
        return dialled, asked, cpu

    async def proofs(self) -> None:
        """(d)"""
        site = await self._site("proofs")
        try:
            cpu = site.cpu_seconds("proof-1")
            seconds = 2.0 if self._quick else 10.0
            figures = await peers(
                "proofs", server=site.proofs[0], connections=PROOF_CONNECTIONS, seconds=seconds
            ).figures()
            cpu = site.cpu_seconds("proof-1") - cpu
        finally:
            await site.stop()
        self._row("signed proofs over open connections, a second", f"{figures['asked'] / figures['seconds']:.0f}")
        self._row("  for each second of the proof server's CPU", f"{figures['asked'] / cpu:.0f}", "want 1000")

    async def idle(self) -> None:
        """(e)"""
        count = 1_000 if self._quick else 5_000
        asked = 200
        site = self._new_site("idle")
        keys_file = await fill_store(site.folder, asked, 1)
        await site.start(orders_per_address=0, max_connections=count + 500)
        holders = []
        try:
            *without, _ = await self._ask_again(site, keys_file, asked, 1, 1)
            before = site.resident_bytes()
            for _ in range(IDLE_PROCESSES):
                holder = peers("idle", server=site.issuer, connections=count // IDLE_PROCESSES)
                holders.append(holder)
                await holder.figures()
            await wait(5.0)
            cpu = site.cpu_seconds()
            await wait(5.0)
            cpu = site.cpu_seconds() - cpu
            memory = site.resident_bytes()
            *among, _ = await self._ask_again(site, keys_file, asked, 1, 1)
            lost = [line for holder in holders for line in holder.told]
        finally:
            for holder in holders:
                await holder.stop()
            await site.stop()
        self._row(f"{count} idle connections: memory of the issue server, MB", f"{memory / 1e6:.0f}", "want 400")
        self._row("  a connection, kB", f"{(memory - before) / count / 1e3:.1f}")
        self._row("  CPU while nothing happens, %", f"{cpu / 5.0 * 100:.1f}")
        for what, number in (("dial", 0), ("ask for what is in the store", 1)):
            self._row(f"  {what}, among them, ms", f"{median(among[number]['each']) * 1e3:.1f}")
            self._row("    without them, ms", f"{median(without[number]['each']) * 1e3:.1f}", "want the same")
        self._row("  connections that were lost meanwhile", str(len(lost)), "want 0")


async def wait(seconds: float) -> None:
    """So long."""
    from twisted.internet import reactor  # noqa: PLC0415  # a script's own reactor

    await task.deferLater(reactor, seconds)  # type: ignore[arg-type]  # it is one


async def fill_store(folder: Path, count: int, keys: int) -> Path:
    """A store with a certificate for each of so many peers and each of so many keys, whose file is returned."""
    from twisted.internet import reactor  # noqa: PLC0415

    state = folder / "issue"
    state.mkdir(mode=0o700, parents=True)
    made = [make_key(ECDSA_P256) for _ in range(keys)]
    keys_file = folder / "keys.json"
    keys_file.write_text(json.dumps([key_to_pem(key).decode() for key in made]))
    sign = Signing()
    leaves = [sign.certificate(number, key) for number in range(count) for key in made]
    store = await Store.open(reactor, f"sqlite:///{(state / STORE_FILE).absolute()}")  # type: ignore[arg-type]
    try:
        await store._database.write(lambda connection: [add_certificate(connection, leaf) for leaf in leaves])
    finally:
        await store.close()
    return keys_file


class Signing:
    """A CA whose certificates nobody checks."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
        self._builder = (
            x509.CertificateBuilder()
            .issuer_name(issuer)
            .not_valid_before(self._now - timedelta(days=1))
            .not_valid_after(self._now + timedelta(days=89))
        )
        self._root_pem = self._signed(self._builder.subject_name(issuer), self._key)

    def certificate(self, number: int, key: CertificateKey) -> StoredCertificate:
        """As the store has the certificate of a known peer."""
        peer = known_key(number).peer_id
        names = sorted(certificate_names(peer, addresses_of(number, 1), ZONE, "addresses"))
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = self._builder.subject_name(x509.Name([])).add_extension(alternative, critical=True)
        return StoredCertificate(
            peer_id=peer.multihash,
            names=tuple(names),
            public_key_sha256=hashlib.sha256(public_key_der(key.public_key())).digest(),
            crypto=ECDSA_P256,
            certificate_pem=self._signed(leaf, key),
            issuers_pem=self._root_pem,
            not_before=self._now - timedelta(days=1),
            not_after=self._now + timedelta(days=89),
            from_csr=True,
            ari_checked_at=self._now,
        )

    def _signed(self, builder: x509.CertificateBuilder, key: CertificateKey) -> bytes:
        whole = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return whole.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


MEASURES: dict[str, Callable[[Comparison], Awaitable[None]]] = {
    "one": Comparison.one,
    "many": Comparison.many,
    "again": Comparison.again,
    "proofs": Comparison.proofs,
    "idle": Comparison.idle,
}


async def run(options: argparse.Namespace) -> None:
    """Measure what is asked for, and print each row as it comes."""
    with tempfile.TemporaryDirectory(prefix="nodetrust-benchmark-") as folder:
        comparison = Comparison(Path(folder), options.quick, options.profile)
        print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for name in options.only or MEASURES:
            await MEASURES[name](comparison)
        comparison.show_profiles()


def main() -> None:
    """Read the options, run on the default reactor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the work, and less to rely on")
    parser.add_argument("--profile", action="store_true", help="show where the issue server's time goes")
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="NAME", help="some of " + ", ".join(MEASURES))
    options = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(run(options)))


if __name__ == "__main__":
    main()
