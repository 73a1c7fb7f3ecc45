"""Our libp2p beside js-libp2p and py-libp2p: the same work, one after the other, on this machine.

    python -m benchmarks.libp2p_compare [--seconds S] [--megabytes N]

Run it in the checkout, where nothing else runs. It measures what libp2p_loopback.py says, of each: both ends in one
process, TCP on loopback, Noise, yamux, identify on. js-libp2p comes with the tests' toolchain (tests/interop);
py-libp2p is installed into an environment of its own under build/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.interop import toolchain

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
PY_LIBP2P = "libp2p==0.8.1"
RUN_SECONDS = 600

Figures = dict[str, float]


def last_line(command: Sequence[str | Path]) -> Figures:
    """What a benchmark's last line of output says."""
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, timeout=RUN_SECONDS, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure_ours(seconds: float, megabytes: int) -> Figures:
    """nodetrust.libp2p, in this Python."""
    options = ["--seconds", str(seconds), "--megabytes", str(megabytes)]
    return last_line([sys.executable, "-m", "benchmarks.libp2p_loopback", *options])


def measure_js(seconds: float, megabytes: int) -> Figures:
    """js-libp2p: the program runs beside its packages, where Node looks for them."""
    node, packages = toolchain.prepare_js()
    program = Path(shutil.copy(HERE / "peers" / "js_libp2p_loopback.mjs", packages))
    return last_line([node, program, str(seconds), str(megabytes)])


def measure_py(seconds: float, megabytes: int) -> Figures:
    """py-libp2p, in an environment of its own: its dependencies are many, and none of ours."""
    environment = CHECKOUT / "build" / "benchmarks" / PY_LIBP2P
    python = environment / "bin" / "python"
    if not (environment / "bin" / "installed").exists():
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PY_LIBP2P], check=True, timeout=RUN_SECONDS)
        (environment / "bin" / "installed").touch()
    options = ["--seconds", str(seconds), "--megabytes", str(megabytes)]
    return last_line([python, HERE / "peers" / "py_libp2p_loopback.py", *options])


def main() -> None:
    """Measure all three, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each handshake figure")
    parser.add_argument("--megabytes", type=int, default=300, help="for the throughput figure")
    options = parser.parse_args()
    stacks = {"nodetrust": measure_ours, "js-libp2p": measure_js, "py-libp2p": measure_py}
    measured = {name: measure(options.seconds, options.megabytes) for name, measure in stacks.items()}
    print(f"{'':32}" + "".join(f"{name:>12}" for name in measured))
    for row in measured["nodetrust"]:
        print(f"{row.replace('_', ' '):32}" + "".join(f"{figures[row]:12.1f}" for figures in measured.values()))


if __name__ == "__main__":
    main()
