"""Which names this CA signs: Let's Encrypt's rules for their form, without its list of public suffixes. Pure."""

import re
from collections.abc import Sequence

from nodetrust.testing.ca.problems import Problem

MAX_NAMES = 100
_MAX_LABELS = 10
_MAX_NAME = 253
_LABEL = re.compile(r"(?!..--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check_name(name: str, refused: Sequence[str]) -> None:
    """`Problem` unless a certificate may have this name, which can begin with `*.`."""
    base = name.removeprefix("*.")
    labels = base.split(".")
    if len(name) > _MAX_NAME or not 2 <= len(labels) <= _MAX_LABELS or labels[-1].isdigit():
        raise Problem("rejectedIdentifier", f"{base[:_MAX_NAME]!r} is no domain name that a certificate can have")
    if wrong := next((label for label in labels if not _LABEL.fullmatch(label)), None):
        raise Problem("rejectedIdentifier", f"{base!r} has the label {wrong!r}, which no certificate can have")
    if "" in labels:
        raise Problem("rejectedIdentifier", f"{base!r} has an empty label")
    if any(base == parent or base.endswith(f".{parent}") for parent in refused):
        raise Problem("rejectedIdentifier", f"this CA does not sign {base!r}")
