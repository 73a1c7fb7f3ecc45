"""Lists as text: a prefix or a peer ID to a line, `#` and `;` begin a comment. Pure.

As the DROP lists of Spamhaus are, and what most others who publish prefixes offer.
"""

from __future__ import annotations

import re

from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.entries import Entries
from nodetrust.lists.errors import ListError
from nodetrust.lists.prefixes import Network, PrefixSet, read_network

MAX_LIST_BYTES = 16 * 1024 * 1024
MAX_ENTRIES = 500_000  # about 100 MB; the largest public lists have a tenth of that
_COMMENT = re.compile(r"[#;]")
_PEER_ID = re.compile(r"[0-9A-Za-z]{40,}", re.ASCII)
"""No prefix looks like it: those have dots or colons, or are short."""
_WIDEST = {4: 8, 6: 16}
"""No list of others' may deny more with one line: a slip of theirs would be an outage of ours."""


def read_list(content: bytes, name: str, *, from_others: bool = False) -> Entries:
    """What a list names, which is called `name` in errors. Raises ListError at the first line that is wrong.

    A list `from_others` may have no prefix that covers half the internet.
    """
    if len(content) > MAX_LIST_BYTES:
        raise ListError(f"{name}: larger than {MAX_LIST_BYTES} octets")
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ListError(f"{name}: is not text in UTF-8") from None
    networks: set[Network] = set()
    peers: set[PeerId] = set()
    for number, line in enumerate(lines, 1):
        text = _COMMENT.split(line, maxsplit=1)[0].strip()
        place = f"{name}:{number}"
        if _PEER_ID.fullmatch(text):
            peers.add(_read_peer(text, place))
        elif text:
            networks.add(_read_prefix(text, place, from_others))
        if len(networks) + len(peers) > MAX_ENTRIES:
            raise ListError(f"{place}: more than {MAX_ENTRIES} entries")
    return Entries(PrefixSet(networks), frozenset(peers))


def _read_peer(text: str, place: str) -> PeerId:
    try:
        return PeerId.parse(text)
    except Libp2pError as error:
        raise ListError(f"{place}: expected a prefix or a peer ID: {str(error)[:100]}") from None


def _read_prefix(text: str, place: str, from_others: bool) -> Network:
    try:
        network = read_network(text)
    except ValueError as error:
        raise ListError(f"{place}: expected a prefix or a peer ID: {str(error)[:100]}") from None
    if from_others and network.prefixlen < _WIDEST[network.version]:
        raise ListError(f"{place}: {network} is too much to deny on somebody's word")
    return network
