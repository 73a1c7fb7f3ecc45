"""Random addresses to names and back: each must come back exactly, and each name must be one that a CA signs.

``python benchmarks/names_roundtrip.py [N]`` takes ten million by default, half of them IPv4, the others IPv6, of which
half are sparse: their zero groups are what compressing is about. Exits with 1 at the first failure.
"""

import argparse
import random
import sys
import time

from nodetrust.names import InvalidName, check_certificate_name, label_for_packed_address, packed_address_from_label

ZONE = "ip.example.org"
BATCH = 100_000
PROGRESS_EVERY = 10  # batches


def random_addresses(randomness: random.Random, count: int) -> list[bytes]:
    """Packed addresses: IPv4, any IPv6, and IPv6 with about two thirds of its groups zero, in equal turns."""
    addresses = []
    for number in range(count):
        if number % 2:
            addresses.append(randomness.randbytes(4))
            continue
        address = randomness.randbytes(16)
        if number % 4:
            mask = randomness.getrandbits(8) & randomness.getrandbits(8)
            address = b"".join(address[2 * g : 2 * g + 2] if mask >> g & 1 else b"\0\0" for g in range(8))
        addresses.append(address)
    return addresses


def failure(address: bytes) -> str | None:
    """What is wrong with the name of *address*; None if nothing is."""
    label = label_for_packed_address(address)
    name = f"{label}.{ZONE}"
    try:
        check_certificate_name(name)
    except InvalidName as error:
        return f"{address.hex()}: {error}"
    back = packed_address_from_label(name.partition(".")[0])
    if back != address:
        return f"{address.hex()} -> {name} -> {back.hex() if back else None}"
    return None


def main() -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same addresses")
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    randomness = random.Random(seed)
    started, checking, done = time.monotonic(), 0.0, 0
    while done < options.count:
        addresses = random_addresses(randomness, min(BATCH, options.count - done))
        begin = time.perf_counter()
        for address in addresses:
            wrong = failure(address)
            if wrong:
                print(f"FAILED (seed {seed}): {wrong}")
                return 1
        checking += time.perf_counter() - begin
        done += len(addresses)
        if done % (BATCH * PROGRESS_EVERY) == 0:
            print(f"{done:>12,} names, {checking / done * 1e6:.2f} µs each", flush=True)
    print(
        f"{done:,} addresses came back from their names exactly, seed {seed}: "
        f"{checking:.1f} s for names, checks and back, {time.monotonic() - started:.1f} s in all"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
