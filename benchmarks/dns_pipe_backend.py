"""A PowerDNS pipe backend that answers `ip4…`, `ip6…` and `p…` names: how nip.io works, for the comparison.

PowerDNS starts it; https://doc.powerdns.com/authoritative/backends/pipe.html, ABI 1. The zone is the one argument.
"""

import socket
import sys

TTL = 3600


def records(name: str, zone: str) -> list[tuple[str, str]]:
    """Type and content of the records at a lower-case name in the zone."""
    if name == zone:
        return [("SOA", f"ns.{zone} hostmaster.{zone} 1 7200 900 1209600 60"), ("NS", f"ns.{zone}")]
    label = name.partition(".")[0]
    try:
        if label.startswith("ip4"):
            return [
                ("A", socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, label[3:].replace("-", "."))))
            ]
        if label.startswith("ip6"):
            text = label[3:].replace("-", ":")
            return [("AAAA", socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text)))]
    except OSError:
        return []
    return [("TXT", f'"id={label}"')] if label.startswith("p") else []


def main() -> None:
    """Greet, then answer one line after the other."""
    zone = sys.argv[1]
    sys.stdin.readline()
    print("OK\tready", flush=True)
    for line in sys.stdin:
        kind, *fields = line.rstrip("\n").split("\t")
        if kind == "Q":
            name, class_, type_ = fields[:3]
            if name.lower().endswith(zone):
                for found, content in records(name.lower(), zone):
                    if type_ in (found, "ANY"):
                        print(f"DATA\t{name}\t{class_}\t{found}\t{TTL}\t-1\t{content}")
        print("END", flush=True)


if __name__ == "__main__":
    main()
