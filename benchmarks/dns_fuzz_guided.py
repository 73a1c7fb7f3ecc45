"""The same rules as `tests.fuzz.dns`, with packets that libFuzzer chooses by which code they reach.

pip install atheris
python -m benchmarks.dns_fuzz_guided CORPUS_FOLDER -max_total_time=600 [other options of libFuzzer]
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nodetrust.dns"]):
    from tests.fuzz.dns import Target, seeds

_TARGET = Target()
_MAX_BYTES = 700


def one(data: bytes) -> None:
    """One packet, from an address that depends on it."""
    _TARGET.run([data], [data[-4:].rjust(4, b"\0")])


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    for packet in seeds():
        one(packet)
    atheris.Setup([sys.argv[0], f"-max_len={_MAX_BYTES}", *sys.argv[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
