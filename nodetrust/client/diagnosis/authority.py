"""What is to be said of the CA from which this peer orders. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from nodetrust.client.diagnosis.steps import Area, Outcome, Step


@dataclass(frozen=True, slots=True)
class Directory:
    """What a CA says of itself: its names in CAA records, whether it has ARI, and makes accounts for anybody."""

    identities: tuple[str, ...]
    says_when_to_renew: bool
    is_open: bool


def judge_directory(url: str, directory: Directory | Exception) -> Step:
    """Of the CA's directory."""
    title = f"directory of {urlsplit(url).netloc}"
    facts: dict[str, object] = {"directory": url}
    if isinstance(directory, Exception):
        advice = "see that --acme-directory is right, and that this machine may connect to it"
        return Step(Area.CA, title, Outcome.FAIL, str(directory), advice, facts)
    facts |= {"caa_identities": list(directory.identities), "ari": directory.says_when_to_renew}
    if not directory.is_open:
        found = "it makes accounts only for those whom it knows (external account binding)"
        return Step(Area.CA, title, Outcome.FAIL, found, "take a CA that does not ask for that", facts)
    said = [
        f"it is {', '.join(directory.identities)} in CAA records" if directory.identities else "it answers",
        "says when to renew" if directory.says_when_to_renew else "does not say when to renew",
    ]
    return Step(Area.CA, title, Outcome.OK, "; ".join(said), facts=facts)


def judge_account(url: str, known: str | Exception | None, *, has_key: bool) -> Step:
    """Of this peer's account there: `known` is its URL, as the CA says now."""
    title = f"account at {urlsplit(url).netloc}"
    facts: dict[str, object] = {"directory": url}
    if not has_key:
        return Step(Area.CA, title, Outcome.SKIP, "none yet: it is made with the first order", facts=facts)
    if isinstance(known, Exception):
        advice = "move the account's file away: another account is made then"
        return Step(Area.CA, title, Outcome.FAIL, str(known), advice, facts)
    if known is None:
        return Step(
            Area.CA, title, Outcome.OK, "the CA has forgotten it: it is made again with the next order", facts=facts
        )
    return Step(Area.CA, title, Outcome.OK, "the CA knows it", facts={**facts, "account": known})
