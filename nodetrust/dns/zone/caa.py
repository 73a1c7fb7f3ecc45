"""CAA records: which CA may sign for the zone, and for whom (RFC 8659, RFC 8657)."""

from __future__ import annotations

import re

from nodetrust.dns.errors import ZoneError

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ISSUER = re.compile(rf"[ \t]*(?:{_LABEL}(?:\.{_LABEL})*)?[ \t]*")
_PARAMETER = re.compile(r"[ \t]*(?P<tag>[A-Za-z0-9-]+)[ \t]*=[ \t]*(?P<value>[\x21-\x3a\x3c-\x7e]*)[ \t]*")
_METHODS = re.compile(r"[A-Za-z0-9-]+(?:,[A-Za-z0-9-]+)*")

ISSUE_TAGS = (b"issue", b"issuewild")


def check_caa_value(value: str) -> None:
    """Check the value of an `issue` or `issuewild` property: an issuer's domain or nothing, and parameters behind `;`.

    A CA that finds something else there must refuse to sign (RFC 8659 §4.2), which nobody writes on purpose: `;` alone
    says that. Raises ZoneError.
    """
    issuer, *parameters = value.split(";")
    if not _ISSUER.fullmatch(issuer):
        raise ZoneError(f"CAA: {issuer.strip()!r} is not the domain name of a CA")
    if len(parameters) == 1 and not parameters[0].strip(" \t"):
        return
    for parameter in parameters:
        match = _PARAMETER.fullmatch(parameter)
        if match is None:
            raise ZoneError(f"CAA: {parameter.strip()!r} is not tag=value (RFC 8659 §4.2)")
        tag, text = match["tag"].lower(), match["value"]
        if tag == "accounturi" and ":" not in text:
            raise ZoneError(f"CAA: accounturi={text} is not a URI (RFC 8657 §3)")
        if tag == "validationmethods" and not _METHODS.fullmatch(text):
            raise ZoneError(f"CAA: validationmethods={text} is not a list of methods (RFC 8657 §4)")


def check_caa_rdata(rdata: bytes) -> None:
    """As `check_caa_value`, for the wire form of a record of any tag; other tags are not looked into."""
    end = 2 + rdata[1]
    if rdata[2:end].lower() in ISSUE_TAGS:
        check_caa_value(rdata[end:].decode("ascii", "backslashreplace"))
