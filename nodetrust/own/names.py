"""The names of a server itself, as an operator gives them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

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
    wanted = set(names)
    return tuple(sorted(name for name in wanted if f"*.{name.partition('.')[2]}" not in wanted - {name}))
