"""The refusals of UPnP IGD in words (WANIPConnection:1 §2.4, :2 §2.5; Device Architecture 1.1 §3.2.2). Pure."""

from __future__ import annotations

NO_SUCH_MAPPING = 714
CONFLICT = 718
SAME_PORTS_ONLY = 724
PERMANENT_ONLY = 725
NO_PORT_AVAILABLE = 728
CONFLICT_WITH_OTHER_MECHANISM = 729

WORDS = {
    401: "it does not know this action",
    402: "it calls the request malformed",
    501: "the action failed",
    600: "it does not take a value of the request",
    601: "a value of the request is out of its range",
    602: "it does not have this action",
    603: "it is out of memory",
    604: "somebody must allow it on the router",
    605: "a text of the request is too long for it",
    606: "it does not allow this (mappings may be switched off in its settings, or restricted to some ports)",
    713: "it has no mapping with that number",
    NO_SUCH_MAPPING: "it has no such mapping",
    715: "it does not map for all remote peers",
    716: "it does not choose external ports",
    CONFLICT: "another machine has this external port",
    SAME_PORTS_ONLY: "it maps a port to the same port only",
    PERMANENT_ONLY: "it knows permanent mappings only",
    726: "it maps for all remote peers only",
    727: "it does not map single ports",
    NO_PORT_AVAILABLE: "it has no room for more mappings",
    CONFLICT_WITH_OTHER_MECHANISM: "another mechanism on the router has this external port",
    730: "it has no such mapping",
    732: "it maps no port of this machine by its number",
    733: "it is inconsistent with itself",
}

MAX_DESCRIPTION_CHARACTERS = 80


def describe(code: int | None, description: str | None) -> str:
    """What a fault means; the gateway's own words, of which only what can be printed is kept, if we have none."""
    if code in WORDS:
        return WORDS[code]
    printable = "".join(letter for letter in description or "" if letter.isascii() and letter.isprintable())
    said = printable[:MAX_DESCRIPTION_CHARACTERS]
    return f"it refuses with the code {code}" + (f" ({said})" if said else "")
