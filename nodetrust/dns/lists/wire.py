"""Lists of prefixes as text: one to a line, `#` and `;` begin a comment. Pure.

As the DROP lists of Spamhaus are, and what most others who publish prefixes offer.
"""

from __future__ import annotations

import re

from nodetrust.dns.errors import ListError
from nodetrust.dns.lists.prefixes import Network, PrefixSet, read_network

MAX_LIST_BYTES = 16 * 1024 * 1024
MAX_PREFIXES = 500_000  # about 100 MB; the largest public lists have a tenth of that
_COMMENT = re.compile(r"[#;]")
_WIDEST = {4: 8, 6: 16}
"""No list of others' may deny more with one line: a slip of theirs would be an outage of ours."""


def read_list(content: bytes, name: str, *, from_others: bool = False) -> PrefixSet:
    """The prefixes in a list, called `name` in errors. Raises ListError at the first line that is wrong.

    A list `from_others` may have no prefix that covers half the internet.
    """
    if len(content) > MAX_LIST_BYTES:
        raise ListError(f"{name}: larger than {MAX_LIST_BYTES} octets")
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ListError(f"{name}: is not text in UTF-8") from None
    networks = set()
    for number, line in enumerate(lines, 1):
        text = _COMMENT.split(line, maxsplit=1)[0].strip()
        if text:
            networks.add(_read(text, f"{name}:{number}", from_others))
            if len(networks) > MAX_PREFIXES:
                raise ListError(f"{name}:{number}: more than {MAX_PREFIXES} prefixes")
    return PrefixSet(networks)


def _read(text: str, place: str, from_others: bool) -> Network:
    try:
        network = read_network(text)
    except ValueError as error:
        raise ListError(f"{place}: {str(error)[:100]}") from None
    if from_others and network.prefixlen < _WIDEST[network.version]:
        raise ListError(f"{place}: {network} is too much to deny on somebody's word")
    return network
