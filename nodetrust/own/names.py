"""The names of a server itself, as an operator gives them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nodetrust.names import InvalidName, check_certificate_name
from nodetrust.settings import SettingsError


def checked_names(key: str, names: Iterable[str]) -> frozenset[str]:
    """Those of the setting `key`, in lower case. Raises `SettingsError` for one that no CA signs."""
    lower = frozenset(name.lower() for name in names)
    try:
        for name in lower:
            check_certificate_name(name)
    except InvalidName as error:
        raise SettingsError(f"{key}: {error}") from None
    return lower


def names_to_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sorted, and without those that a wildcard among them covers: Let's Encrypt refuses these beside it."""
    wanted = frozenset(names)
    return tuple(sorted(name for name in wanted if name.startswith("*.") or not _has_wildcard(name, wanted)))


def is_covered(name: str, names: Collection[str]) -> bool:
    """Whether a certificate for `names`, wildcards among them, is one for the name (RFC 9525 §6.3)."""
    return name in names or _has_wildcard(name, names)


def _has_wildcard(name: str, names: Collection[str]) -> bool:
    return f"*.{name.partition('.')[2]}" in names
