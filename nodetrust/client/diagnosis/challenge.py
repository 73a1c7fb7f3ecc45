"""What is to be said of the TXT records at which a CA looks for a challenge's value. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nodetrust.client.diagnosis.steps import Area, Outcome, Step, counted
from nodetrust.client.diagnosis.zone import Answer, Place, emptiness
from nodetrust.client.lookup.errors import NoReply
from nodetrust.client.lookup.wire import NO_ERROR, NO_SUCH_NAME, Reply, Type

LONG_TTL_SECONDS = 60
"""Who has looked before the value was set, the CA's resolver included, looks in vain for that long. Brokers have 10."""

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""Base64url of a SHA-256 (RFC 8555 §8.4); a broker with none says something else, such as `not set yet`."""


def values_in(reply: Reply) -> frozenset[str]:
    """Those that may be a challenge's."""
    return frozenset(str(one.value) for one in reply.of(Type.TXT) if _VALUE.fullmatch(str(one.value)))


def judge_challenge(name: str, seen: Mapping[Place, Answer], promised: Sequence[str] | None) -> Step:
    """Of what the zone's name servers say; `promised` is what the broker says that it has set, if it tells.

    A server that does not answer has been spoken of before.
    """
    replies = {place: answer for place, answer in seen.items() if isinstance(answer, Reply)}
    values = {place: values_in(reply) for place, reply in replies.items()}
    facts: dict[str, object] = {
        "name": name,
        "values": {place.title: sorted(one) for place, one in values.items()},
        "promised": None if promised is None else list(promised),
    }

    def step(outcome: Outcome, found: str, advice: str = "") -> Step:
        return Step(Area.DNS, "challenge", outcome, found, advice, facts)

    if not replies:
        return step(Outcome.SKIP, "no name server answers: see above")
    if len(set(values.values())) > 1:
        each = ", ".join(f"{place.title} has {_counted(one)}" for place, one in values.items())
        advice = "a CA may ask any of them: the broker must tell all of the zone's DNS servers"
        return step(Outcome.FAIL, f"the name servers differ: {each}", advice)
    set_values = next(iter(values.values()))
    missing = [one for one in promised or () if one not in set_values]
    if missing:
        advice = "the broker's operator must see that it reaches the zone's DNS servers"
        return step(Outcome.FAIL, f"the broker has set {missing[0]}, but no name server answers with it", advice)
    if (odd := _remembered(replies)) is not None:
        return step(Outcome.WARN, f"{_said(set_values)}, but {odd}", _ANSWER_SOMETHING)
    return step(Outcome.OK, _said(set_values))


_ANSWER_SOMETHING = "the zone's DNS servers should answer it at all times, with a TTL of some seconds"


def _remembered(replies: Mapping[Place, Reply]) -> str | None:
    """What would keep a resolver from seeing a value as soon as it is set."""
    for place, reply in replies.items():
        records = reply.of(Type.TXT)
        if not records:
            return f"{place.title} has no TXT record there ({emptiness(reply)}), which resolvers remember"
        longest = max(record.ttl_seconds for record in records)
        if longest > LONG_TTL_SECONDS:
            return f"resolvers may keep the answer of {place.title} for {longest} s"
    return None


def judge_resolved_challenge(name: str, resolved: Answer) -> Step:
    """Of what the resolver makes of it: a client waits until it sees its value there, too."""
    facts: dict[str, object] = {"name": name}
    if isinstance(resolved, NoReply) or resolved.code not in (NO_ERROR, NO_SUCH_NAME):
        reason = str(resolved) if isinstance(resolved, NoReply) else f"it says {resolved.code_name}"
        advice = "see what the resolver makes of other names, or use another with --nameserver"
        return Step(Area.DNS, "challenge, by the resolver", Outcome.FAIL, reason, advice, facts)
    values = values_in(resolved)
    facts["values"] = sorted(values)
    return Step(Area.DNS, "challenge, by the resolver", Outcome.OK, _said(values), facts=facts)


def _said(values: frozenset[str]) -> str:
    return f"{_counted(values)} set" if values else "not set yet"


def _counted(values: frozenset[str]) -> str:
    return counted(len(values), "value") if values else "no value"
