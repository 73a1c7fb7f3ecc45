"""The names of a server itself, as an operator gives them."""

from __future__ import annotations

from collections.abc import Iterable

from nodetrust.names import InvalidName, check_certificate_name
from nodetrust.settings import SettingsError


def checked_names(key: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the setting `key` as a certificate has them: in lower case, sorted. Raises `SettingsError`."""
    try:
        for name in names:
            check_certificate_name(name)
    except InvalidName as error:
        raise SettingsError(f"{key}: {error}") from None
    return tuple(sorted({name.lower() for name in names}))
