"""The keys of settings, and settings from a file, or from a program."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from msgspec.structs import FieldInfo, fields

from nodetrust.settings.base import Settings, SettingsError
from nodetrust.settings.convert import as_in_a_file, bare, convert

MAX_FILE_BYTES = 1024 * 1024
"""Nobody writes a larger configuration; a larger file is the wrong file."""

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Key:
    """What is behind a key: a setting, or a table of them."""

    field: FieldInfo
    kind: Any
    is_table: bool = False


def keys_of(kind: type[Settings], table: str = "") -> dict[str, Key]:
    """All keys; those in a table have its name before them, and a dot."""
    keys: dict[str, Key] = {}
    for field, hint in _fields(kind):
        inner = _inner(hint)
        if inner is None:
            keys[table + field.name] = Key(field, hint)
        elif field.required:
            keys |= keys_of(inner, table)
        else:
            name = table + field.name
            keys |= {name: Key(field, hint, is_table=True), **keys_of(inner, f"{name}.")}
    return keys


def is_in_files_alone(kind: Any) -> bool:
    """Whether a setting is a list of tables."""
    return get_origin(bare(kind)[0]) is tuple and _is_settings(get_args(bare(kind)[0])[0])


def read_file(kind: type[S], path: Path) -> dict[str, object]:
    """The settings that a TOML file gives, converted, by key; raises `SettingsError` at the first that is wrong."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise SettingsError(f"{path}: expected a TOML file of at most {MAX_FILE_BYTES} bytes")
        values = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected a TOML file: {error}") from error
    place = f"{path}: "

    def take(kind: Any, value: object, key: str) -> Any:
        return convert(kind, value, key, place, strict=True)

    return dict(_taken(keys_of(kind), values, "", place, take))


def from_values(kind: type[S], values: Mapping[str, object]) -> S:
    """Settings as a program gives them: each as it is or as its text, for a list one alone as well.

    Raises `SettingsError`.
    """

    def take(kind: Any, value: object, key: str) -> Any:
        return convert(kind, as_in_a_file(kind, value), key, "", strict=False)

    return build(kind, dict(_taken(keys_of(kind), values, "", "", take)))


def build(kind: type[S], values: Mapping[str, object]) -> S:
    """Make the settings from converted values by key; raises `SettingsError` for one that is missing or does not fit.

    A table is there if any of its keys is, or its own name.
    """
    return _build(kind, values, "")


@contextmanager
def within(table: str) -> Iterator[None]:
    """Put the name of a table before the key of a `SettingsError`; nothing where there is none."""
    try:
        yield
    except SettingsError as error:
        if not table:
            raise
        raise SettingsError(f"{table}.{error}") from error.__cause__


def _build(kind: type[S], values: Mapping[str, object], table: str) -> S:
    begin = f"{table}." if table else ""
    arguments: dict[str, object] = {}
    for field, hint in _fields(kind):
        key = begin + field.name
        inner = _inner(hint)
        if inner is not None:
            if field.required:
                arguments[field.name] = _build(inner, values, table)
            elif any(one == key or one.startswith(f"{key}.") for one in values):
                arguments[field.name] = _build(inner, values, key)
        elif key in values:
            arguments[field.name] = values[key]
        elif field.required:
            where = f"the table [{table}] of the file" if table else "the file"
            raise SettingsError(
                f"{key}: is not set: give --{option_name(key)}, or put {field.name} into {where} of --config"
            )
    settings = kind(**arguments)
    with within(table):
        settings.check()
    return settings


def option_name(key: str) -> str:
    """The option of a key."""
    return key.replace(".", "-").replace("_", "-")


def _taken(
    keys: Mapping[str, Key],
    values: Mapping[str, object],
    table: str,
    place: str,
    take: Callable[[Any, object, str], Any],
) -> Iterator[tuple[str, object]]:
    """Each value by its key, as `take` makes it of its type, what it is, and the key. Raises `SettingsError`."""
    for name, value in values.items():
        key = table + name
        known = keys.get(key) if "." not in name else None  # the dot is ours
        if known is None:
            there = (one.removeprefix(table) for one in keys if one.startswith(table))
            names = ", ".join(sorted(one for one in there if "." not in one))
            raise SettingsError(f"{place}{key}: no such setting; there are {names}")
        if not known.is_table:
            yield key, take(known.kind, value, key)
        elif value is None:
            continue
        elif isinstance(value, Mapping):
            yield key, {}
            yield from _taken(keys, value, f"{key}.", place, take)
        else:
            raise SettingsError(f"{place}{key}: expected a table, got {value!r}")


def _fields(kind: type[Settings]) -> Iterator[tuple[FieldInfo, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        yield field, hints[field.name]


def _inner(kind: Any) -> type[Settings] | None:
    """The settings that a field holds, if it holds some."""
    inner = bare(kind)[0]
    if get_origin(inner) is tuple:
        return None
    return next((one for one in (inner, *get_args(inner)) if _is_settings(one)), None)


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)
