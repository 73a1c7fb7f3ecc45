"""Settings as the file that an operator would write."""

import json
from collections.abc import Mapping
from typing import Any


def to_toml(settings: Mapping[str, Any]) -> str:
    """A line for each; what is a mapping is a table."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if not isinstance(value, Mapping)]
    tables = [f"\n[{key}]\n{to_toml(value)}" for key, value in settings.items() if isinstance(value, Mapping)]
    return "\n".join([*plain, *tables, ""])
