"""Link headers: other forms of a resource, and its next page. Pure. RFC 8288, RFC 8555 §7.1.2.1 and §7.4.2."""

import re
from collections.abc import Sequence
from urllib.parse import urljoin

from nodetrust.acme.urls import Origin

MAX_LINKS = 10
"""Links of one relation that are followed; CAs have one to three alternate chains."""

_MAX_HEADER = 8192  # octets of all Link headers of an answer
_LINK = re.compile(r"<([^<>]*)>([^,<>]*)")
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)


def linked(headers: Sequence[str], relation: str, base: str, origin: Origin) -> tuple[str, ...]:
    """The URLs that the Link headers of the answer at `base` give for `relation`, made absolute.

    `AcmeMisbehaved` for one that is not of the CA's own origin.
    """
    return tuple(origin.check(_absolute(base, target)) for target in links_of(headers, relation))


def links_of(headers: Sequence[str], relation: str) -> tuple[str, ...]:
    """The targets of a relation as they came, from wherever; garbage among them is not seen."""
    found = []
    for target, parameters in _LINK.findall(",".join(headers)[:_MAX_HEADER]):
        match = _RELATION.search(parameters)
        if match and relation in (match[1] or match[2] or "").lower().split():
            found.append(target)
    return tuple(dict.fromkeys(found))[:MAX_LINKS]


def _absolute(base: str, target: str) -> str:
    try:
        return urljoin(base, target)
    except ValueError:
        return target  # which the origin's rule refuses
