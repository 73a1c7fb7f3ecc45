"""One definition of a setting serves the TOML file, the command-line option and the help text of both.

A role describes its settings as a frozen `msgspec.Struct`; each field has a type, perhaps a default, and a description:

    class ProofSettings(Settings, frozen=True, kw_only=True):
        listen: Annotated[tuple[Multiaddr, ...], described("where to listen for libp2p")] = (...)

`options_for(ProofSettings, "nodetrust-proof", ...)` makes the `twisted.python.usage.Options` from it. The key
`some_key` of the file is the option `--some-key` (what is on by default: `--no-some-key`); an option wins over the
file; an option for a list may be given several times."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields
from twisted.python import usage

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import check_zone

MAX_FILE_BYTES = 1024 * 1024
"""Nobody writes a larger configuration; a larger file is the wrong file."""

S = TypeVar("S", bound="Settings")


class SettingsError(NodetrustError):
    """A setting is wrong; the text is one line that names the file or option, the key, and what was expected."""


def described(text: str, **limits: Any) -> Meta:
    """Describe a setting for `--help`; `limits` are those of `msgspec.Meta`, such as `ge=1`."""
    return Meta(description=text, **limits)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every role's settings."""

    def check(self) -> None:
        """Raise `SettingsError` where settings that are right by themselves do not fit together."""


class PeerSettings(Settings, frozen=True, kw_only=True):
    """What every role needs to be a libp2p peer."""

    state: Annotated[Path, described("the folder for what must outlive a restart, first of all the peer's key")]
    listen: Annotated[tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p")]
    announce: Annotated[
        tuple[Multiaddr, ...],
        described("a multiaddr under which others reach this peer, where it differs from those it listens on"),
    ] = ()
    max_connections: Annotated[
        int, described("libp2p connections that others may hold open; each takes a file descriptor", ge=1)
    ] = 512


class HostPort:
    """An address to listen on or speak to, written `192.0.2.1:53` or `[2001:db8::1]:53`.

    No dataclass, which msgspec would read from a table.
    """

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostPort) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))

    def __repr__(self) -> str:
        return f"HostPort({self.host!r}, {self.port})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; a port of 0 means one of the system's choosing. Raises ValueError."""
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([^:\[\]\s]{1,253})):(\d{1,5})", text)
        if match is None or int(match[3]) > 65535:
            raise ValueError(f"expected HOST:PORT or [IPV6]:PORT, got {text!r}")
        return cls(match[1] or match[2], int(match[3]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ZoneName(str):
    """A DNS zone in lower case, without the dot at the end."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a zone's name as people write it: any case, with or without the last dot. Raises ValueError."""
        return cls(check_zone(text))


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
    bare = _bare(kind)[0]
    if bare is PeerId:
        return _read_special(PeerId, value)
    if PeerId in get_args(bare) and isinstance(value, list):
        return [_with_peer_ids(PeerId, one) for one in value]
    return value


def _convert(kind: Any, value: object, key: str, place: str, strict: bool) -> Any:
    try:
        return msgspec.convert(_with_peer_ids(kind, value), kind, dec_hook=_read_special, strict=strict)
    except (msgspec.ValidationError, ValueError) as error:
        message, _, path = str(error).partition(" - at `$")
        detail = message.replace("`", "")
        if detail.startswith("Invalid enum value"):
            detail = f"expected one of {', '.join(_choices(kind))}, got {detail.removeprefix('Invalid enum value ')}"
        raise SettingsError(f"{place}{key}{path.rstrip('`')}: {detail[:1].lower()}{detail[1:]}") from None


def _choices(kind: Any) -> list[str]:
    """The texts that a type made with `Literal` allows."""
    inner = [choice for part in get_args(kind) for choice in _choices(part)]
    return list(get_args(kind)) if get_origin(kind) is Literal else inner


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
    hints = get_type_hints(kind, include_extras=True)
    for key in values:
        if key not in hints:
            raise SettingsError(f"{path}: {key}: no such setting; there are {', '.join(sorted(hints))}")
    return {key: _convert(hints[key], value, key, f"{path}: ", strict=True) for key, value in values.items()}


def build(kind: type[S], values: dict[str, object]) -> S:
    """Make the settings from converted values; raises `SettingsError` for one that is missing or does not fit."""
    missing = [field.name for field in fields(kind) if field.required and field.name not in values]
    if missing:
        key = missing[0]
        raise SettingsError(
            f"{key}: is not set: give --{key.replace('_', '-')}, or put {key} into the file of --config"
        )
    settings = kind(**values)
    settings.check()
    return settings


def from_values(kind: type[S], values: Mapping[str, object]) -> S:
    """Settings as a program gives them: each as it is or as its text, for a list one alone as well.

    Raises `SettingsError`.
    """
    hints = get_type_hints(kind, include_extras=True)
    for key in values:
        if key not in hints:
            raise SettingsError(f"{key}: no such setting; there are {', '.join(sorted(hints))}")
    converted = {key: _convert(hints[key], _plain(hints[key], value), key, "", False) for key, value in values.items()}
    return build(kind, converted)


def _plain(kind: Any, value: object) -> object:
    """As a file would have it."""
    if get_origin(_bare(kind)[0]) is tuple:
        several = value if isinstance(value, list | tuple) else (value,)
        return [_plain(None, one) for one in several]
    return str(value) if isinstance(value, Path) or hasattr(value, "parse") else value


def settings_to_bytes(settings: Settings) -> bytes:
    """Settings as another process of ours reads them with `settings_from_bytes`."""
    return msgspec.msgpack.encode(settings, enc_hook=str)


def settings_from_bytes(kind: type[S], data: bytes) -> S:
    """What `settings_to_bytes` wrote."""
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_read_special)


def _bare(kind: Any) -> tuple[Any, str]:
    """The type and the description of a field."""
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        described_as = next((meta.description for meta in extras if isinstance(meta, Meta) and meta.description), "")
        return inner, described_as
    return kind, ""


def _is_tables(kind: Any) -> bool:
    """Whether a setting is a list of tables, which only a file can hold."""
    element = next(iter(get_args(kind)), None)
    return isinstance(element, type) and issubclass(element, Settings)


def _shown_default(field: FieldInfo) -> str:
    if field.required:
        return " [required]"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if default in (None, "", ()):
        return ""
    text = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f" [default: {text}]"


class RoleOptions(usage.Options):
    """Options made from a `Settings` class; after parsing, `settings` holds the result."""

    kind: type[Settings]
    command: str
    settings: Settings

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        usage.Options.__init__(self)

    def opt_config(self, path: str) -> None:
        """a TOML file with any of these settings; its keys are the options' names with _ for -"""
        self["config"] = path

    opt_c = opt_config

    def postOptions(self) -> None:
        """Read the file and put everything together; a wrong setting ends the process with one line on stderr."""
        values: dict[str, object] = {}
        try:
            values = read_file(self.kind, Path(str(self["config"]))) if "config" in self else {}
            self.settings = build(self.kind, values | self._given)
        except SettingsError as error:
            key = str(error).partition(":")[0]
            place = f"{self['config']}: " if key in values and key not in self._given else ""
            raise SystemExit(f"{self.command}: {place}{error}") from None

    def take(self, key: str, kind: Any, text: str) -> None:
        """Keep what an option gave; one for a list adds to what it gave before."""
        option = key.replace("_", "-")
        try:
            bare = _bare(kind)[0]
            if get_origin(bare) is tuple:
                added = _convert(get_args(bare)[0], text, option, "--", strict=False)
                self._given[key] = (*self._given.get(key, ()), added)
            else:
                self._given[key] = _convert(kind, text, option, "--", strict=False)
        except SettingsError as error:
            raise SystemExit(f"{self.command}: {error}") from None


def options_for(kind: type[Settings], command: str, synopsis: str) -> type[RoleOptions]:
    """The `usage.Options` class of a role: an `opt_` method for each setting, and `--config`.

    What is on unless the file says otherwise is turned off with `--no-` before its name. A list of tables (a tuple of
    `Settings`) has no option: it stands in the file alone.
    """
    body: dict[str, Any] = {"kind": kind, "command": command, "__doc__": synopsis, "longdesc": synopsis}
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        if _is_tables(_bare(hints[field.name])[0]):
            continue
        name = f"no_{field.name}" if field.default is True else field.name
        body[f"opt_{name}"] = _option(field, hints[field.name])
    return type("Options", (RoleOptions,), body)


def _option(field: FieldInfo, kind: Any) -> Any:
    inner, text = _bare(kind)
    key = field.name
    if inner is bool:

        def flag(self: RoleOptions) -> None:
            self.take(key, kind, "false" if field.default is True else "true")

        flag.__doc__ = f"do not {text}" if field.default is True else text
        return flag

    def option(self: RoleOptions, value: str) -> None:
        self.take(key, kind, value)

    several = " (may be given several times)" if get_origin(inner) is tuple else ""
    option.__doc__ = f"{text}{several}{_shown_default(field)}"
    return option
