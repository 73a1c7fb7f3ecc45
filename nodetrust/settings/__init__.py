"""One definition of a setting serves the TOML file, the command-line option and the help text of both.

A role describes its settings as a frozen `msgspec.Struct`; each field has a type, perhaps a default, and a description:

    class ProofSettings(Settings, frozen=True, kw_only=True):
        listen: Annotated[tuple[Multiaddr, ...], described("where to listen for libp2p")] = (...)

`options_for(ProofSettings, "nodetrust-proof", ...)` makes the `twisted.python.usage.Options` from it. The key
`some_key` of the file is the option `--some-key` (what is on by default: `--no-some-key`); an option wins over the
file; an option for a list may be given several times.

A field may hold other settings. Where they are always there, their keys stand among the others. Where they may be
missing (`autotls: ... | None = None`), they are a table of the file, `[autotls]`; its `some_key` is the option
`--autotls-some-key`, and any of them means that the table is there.

In reading order:

* `base`: what settings are
* `kinds`: types of values that are written as texts
* `convert`: from a file's or an option's value to that of the type
* `tables`: the keys of settings, and settings from a file, or from a program
* `options`: settings from the command line
"""

from nodetrust.settings.base import PeerSettings, Settings, SettingsError, described
from nodetrust.settings.convert import settings_from_bytes, settings_to_bytes
from nodetrust.settings.kinds import HostPort, ZoneName
from nodetrust.settings.options import RoleOptions, options_for
from nodetrust.settings.tables import build, from_values, read_file, within

__all__ = [
    "HostPort",
    "PeerSettings",
    "RoleOptions",
    "Settings",
    "SettingsError",
    "ZoneName",
    "build",
    "described",
    "from_values",
    "options_for",
    "read_file",
    "settings_from_bytes",
    "settings_to_bytes",
    "within",
]
