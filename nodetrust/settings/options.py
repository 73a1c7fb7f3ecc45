"""Settings from the command line, and from the file that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo
from twisted.python import usage

from nodetrust.settings.base import Settings, SettingsError
from nodetrust.settings.convert import bare, convert
from nodetrust.settings.tables import Key, build, is_in_files_alone, keys_of, option_name, read_file


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
        option = option_name(key)
        try:
            inner = bare(kind)[0]
            if get_origin(inner) is tuple:
                added = convert(get_args(inner)[0], text, option, "--", strict=False)
                self._given[key] = (*self._given.get(key, ()), added)
            else:
                self._given[key] = convert(kind, text, option, "--", strict=False)
        except SettingsError as error:
            raise SystemExit(f"{self.command}: {error}") from None


def options_for(kind: type[Settings], command: str, synopsis: str) -> type[RoleOptions]:
    """The `usage.Options` class of a role: an `opt_` method for each setting, and `--config`.

    What is on unless the file says otherwise is turned off with `--no-` before its name. A list of tables (a tuple of
    `Settings`) has no option: it stands in the file alone.
    """
    body: dict[str, Any] = {"kind": kind, "command": command, "__doc__": synopsis, "longdesc": synopsis}
    for name, key in keys_of(kind).items():
        if key.is_table or is_in_files_alone(key.kind):
            continue
        begin = "opt_no_" if key.field.default is True else "opt_"
        body[begin + name.replace(".", "_")] = _option(name, key)
    return type("Options", (RoleOptions,), body)


def _option(name: str, key: Key) -> Any:
    field, kind = key.field, key.kind
    inner, text = bare(kind)
    if inner is bool:

        def flag(self: RoleOptions) -> None:
            self.take(name, kind, "false" if field.default is True else "true")

        flag.__doc__ = f"do not {text}" if field.default is True else text
        return flag

    def option(self: RoleOptions, value: str) -> None:
        self.take(name, kind, value)

    several = " (may be given several times)" if get_origin(inner) is tuple else ""
    option.__doc__ = f"{text}{several}{_shown_default(name, field)}"
    return option


def _shown_default(name: str, field: FieldInfo) -> str:
    if field.required:
        table = option_name(name.rpartition(".")[0])
        return f" [required with any other --{table}-]" if table else " [required]"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if default in (None, "", ()):
        return ""
    text = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f" [default: {text}]"
