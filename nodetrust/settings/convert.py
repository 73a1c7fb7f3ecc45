"""From a file's or an option's value to that of the type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.settings.base import Settings, SettingsError

S = TypeVar("S", bound=Settings)


def convert(kind: Any, value: object, key: str, place: str, *, strict: bool) -> Any:
    """`value` as one of `kind`; an error begins with `place` and `key`. Raises `SettingsError`."""
    try:
        return msgspec.convert(_with_peer_ids(kind, value), kind, dec_hook=_read_special, strict=strict)
    except (msgspec.ValidationError, ValueError) as error:
        message, _, path = str(error).partition(" - at `$")
        detail = message.replace("`", "")
        if detail.startswith("Invalid enum value"):
            detail = f"expected one of {', '.join(_choices(kind))}, got {detail.removeprefix('Invalid enum value ')}"
        raise SettingsError(f"{place}{key}{path.rstrip('`')}: {detail[:1].lower()}{detail[1:]}") from None


def as_in_a_file(kind: Any, value: object) -> object:
    """What a file would have for a program's `value`."""
    if get_origin(bare(kind)[0]) is tuple:
        several = value if isinstance(value, list | tuple) else (value,)
        return [as_in_a_file(None, one) for one in several]
    return str(value) if isinstance(value, Path) or hasattr(value, "parse") else value


def bare(kind: Any) -> tuple[Any, str]:
    """The type and the description of a field."""
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        described_as = next((meta.description for meta in extras if isinstance(meta, Meta) and meta.description), "")
        return inner, described_as
    return kind, ""


def settings_to_bytes(settings: Settings) -> bytes:
    """Settings as another process of ours reads them with `settings_from_bytes`."""
    return msgspec.msgpack.encode(settings, enc_hook=str)


def settings_from_bytes(kind: type[S], data: bytes) -> S:
    """What `settings_to_bytes` wrote."""
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_read_special)


def _read_special(kind: Any, value: object) -> object:
    """A value of a kind that msgspec does not know: a path, or whatever has a `parse` that reads its text."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {value!r}")
    if kind is Path:
        return Path(value).expanduser()
    try:
        return kind.parse(value)
    except (Libp2pError, NodetrustError) as error:
        raise ValueError(str(error)) from error


def _with_peer_ids(kind: Any, value: object) -> object:
    """`value` with peer IDs in place of their texts, which msgspec would not ask for: `PeerId` is a dataclass."""
    inner = bare(kind)[0]
    if inner is PeerId:
        return _read_special(PeerId, value)
    if PeerId in get_args(inner) and isinstance(value, list):
        return [_with_peer_ids(PeerId, one) for one in value]
    return value


def _choices(kind: Any) -> list[str]:
    """The texts that a type made with `Literal` allows."""
    inner = [choice for part in get_args(kind) for choice in _choices(part)]
    return list(get_args(kind)) if get_origin(kind) is Literal else inner
