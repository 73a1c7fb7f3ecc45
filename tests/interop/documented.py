"""What the pages in docs/ tell people to write, so that tests do just that."""

import re

from tests.interop.toolchain import CHECKOUT


def block(page: str, after: str) -> str:
    """The first block of code after the line of the page that has these words."""
    text = (CHECKOUT / "docs" / page).read_text()
    found = re.search(rf"{re.escape(after)}.*?^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no block after {after}"
    return found[1]
