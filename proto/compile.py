"""Make the protobuf modules from the .proto files in this folder, or show that they are up to date.

``python proto/compile.py`` writes them, ``python proto/compile.py --check`` exits with 1 and their names if the
committed ones differ. It wants grpcio-tools in the version below: its compiler decides the oldest protobuf runtime that
can load the modules, and every other version makes other bytes.
"""

import argparse
import importlib.metadata
import sys
import tempfile
from pathlib import Path

GRPCIO_TOOLS = "1.78.0"
"""Brings protoc 31.1, whose modules load on protobuf 6.31.1 and later, 7 included."""

PROTO = Path(__file__).parent
ROOT = PROTO.parent

SOURCES = {PROTO: "nodetrust/messages", PROTO / "libp2p": "nodetrust/libp2p/pb"}
"""Folder of .proto files -> package of their modules. The package stands in the descriptors' file names, so that they
never collide with another library's ``crypto.proto`` in protobuf's one pool a process."""


def compile_into(target: Path) -> list[Path]:
    """Write all modules and their stubs under *target*; their paths, relative to it."""
    from grpc_tools import protoc  # noqa: PLC0415  only here, so that a wrong version is named first

    for folder, package in SOURCES.items():
        sources = [f"{package}/{source.name}" for source in sorted(folder.glob("*.proto"))]
        mapping = f"--proto_path={package}={folder}"
        if protoc.main(["protoc", mapping, f"--python_out={target}", f"--pyi_out={target}", *sources]):
            raise SystemExit(f"protoc refuses the files in {folder}")
    return sorted(path.relative_to(target) for path in target.rglob("*_pb2.py*"))


def stale_modules(fresh: Path, paths: list[Path]) -> list[Path]:
    """The modules that differ from those in *fresh*, are missing, or have no source any more."""
    committed = {path.relative_to(ROOT) for package in SOURCES.values() for path in (ROOT / package).glob("*_pb2.py*")}
    changed = {path for path in paths if path in committed and _content(ROOT / path) != _content(fresh / path)}
    return sorted(changed | committed.symmetric_difference(paths))


def _content(path: Path) -> bytes:
    return path.read_bytes()


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a module is not up to date")
    check = parser.parse_args().check
    version = importlib.metadata.version("grpcio-tools")
    if version != GRPCIO_TOOLS:
        raise SystemExit(f"grpcio-tools {GRPCIO_TOOLS} is needed, {version} is installed")
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        paths = compile_into(fresh)
        stale = stale_modules(fresh, paths)
        for path in stale:
            print(path)  # noqa: T201  this is the command's output
            if check:
                continue
            if path in paths:
                (ROOT / path).write_bytes(_content(fresh / path))
            else:
                (ROOT / path).unlink()
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
