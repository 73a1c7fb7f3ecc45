"""Published vectors, as files."""

import json
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """The content of one of the JSON files of this folder."""
    return json.loads((Path(__file__).parent / name).read_text())
