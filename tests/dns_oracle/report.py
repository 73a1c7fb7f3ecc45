"""`python -m tests.dns_oracle.report`: what the last run of this folder's tests kept in `build/dns`, in a few lines."""

import sys
from collections import Counter

from tests.dns_oracle import table
from tests.dns_oracle.servers import ANCHORS
from tests.dns_oracle.test_matrix import REPORT
from tests.dns_oracle.test_tools import KEPT

KINDS = ("unsigned", "signed")


def _matrix() -> list[str]:
    """For each transport and anchor, how many of the packets it answers as ours does."""
    if not REPORT.exists():
        return ["matrix: not run"]
    rows = [[column.strip() for column in line.split(" | ")] for line in REPORT.read_text().splitlines()[1:]]
    packets = len({row[0] for row in rows})
    lines = [f"matrix: {packets} packets, {len({outcome.why for outcome in table.read().values()} - {''})} reasons"]
    for transport in dict.fromkeys(row[1] for row in rows):
        same = Counter(anchor for row in rows if row[1] == transport for anchor, said in _said(row) if said == "=")
        lines.append(f"  {transport}: as ours {', '.join(f'{anchor} {same[anchor]}' for anchor in ANCHORS)}")
    unexplained = sum(not row[-1] for row in rows if any(said != "=" for _, said in _said(row)))
    return [*lines, f"  differences without a reason: {unexplained}"]


def _said(row: list[str]) -> list[tuple[str, str]]:
    return list(zip(ANCHORS, row[3:7], strict=True))


def _tool(tool: str, kind: str) -> str:
    file = KEPT / f"{tool}-{kind}.txt"
    if not file.exists():
        return f"{tool}, {kind}: not run"
    lines = file.read_text().splitlines()
    if tool == "zonemaster":
        levels = Counter(line.split()[1] for line in lines if len(line.split()) > 2 and line.split()[0][:1].isdigit())
        found = ", ".join(f"{levels[level]} {level}" for level in ("CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO"))
    elif tool == "dnsviz":
        ours = lines[next(index for index, line in enumerate(lines) if line.startswith("nt.test")) :]
        secure = sum("[.]" in line for line in ours)
        found = f"{sum('E:' in line for line in ours)} errors, {sum('W:' in line for line in ours)} warnings"
        found += f", {secure} of {len(ours)} lines secure"
    else:
        found = f"{len(lines)} answers as expected"
    return f"{tool}, {kind}: {found}"


def main() -> int:
    """Print the summary."""
    lines = [
        *_matrix(),
        *(_tool(tool, kind) for tool in ("zonemaster", "dnsviz", "unbound", "answers") for kind in KINDS),
    ]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
