"""What is to be said of an AutoTLS broker. Pure."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509

from nodetrust.client.autotls.errors import BrokerRefused, BrokerUntrusted
from nodetrust.client.autotls.wire import DialBack, SetValue, Status
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, brief, counted
from nodetrust.libp2p.peer_id import PeerId

LITTLE_LEFT = 10
"""A server that renews in time has more than this part of a certificate's life left."""

_DOWN = "see that the URL is right and the broker runs, and that this machine may connect to it"


def host_of(url: str) -> str:
    """The broker's name, and its port where it is not that of HTTPS."""
    return urlsplit(url).netloc


def judge_health(url: str, health: float | Exception) -> Step:
    """Of a probe of its health, which took so many seconds."""
    title = f"health of {host_of(url)}"
    facts: dict[str, object] = {"url": url, "well": not isinstance(health, Exception)}
    if not isinstance(health, Exception):
        milliseconds = round(health * 1000)
        return Step(Area.BROKER, title, Outcome.OK, f"well, and answers in {milliseconds} ms", facts=facts)
    advice = _DOWN
    if isinstance(health, BrokerUntrusted):
        advice = "see below what it shows; a private CA's root is given with --trust-file"
    elif isinstance(health, BrokerRefused) and health.retry_after_seconds is not None:
        facts["retry_after_seconds"] = health.retry_after_seconds
        advice = f"come back in {health.retry_after_seconds} s, as it asks for"
    return Step(Area.BROKER, title, Outcome.FAIL, str(health), advice, facts)


def judge_certificate(url: str, leaf: x509.Certificate, now: datetime, *, trusted: bool) -> Step:
    """Of the certificate that it shows; `trusted`: TLS is content with it here."""
    host = urlsplit(url).hostname or ""
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    names = sorted(_names(leaf))
    facts: dict[str, object] = {
        "url": url,
        "names": names,
        "issuer": leaf.issuer.rfc4514_string(),
        "not_before": begin.isoformat(),
        "not_after": end.isoformat(),
        "trusted": trusted,
    }

    def step(outcome: Outcome, found: str, advice: str = "") -> Step:
        return Step(Area.BROKER, f"certificate of {host_of(url)}", outcome, found, advice, facts)

    until = f"{end:%Y-%m-%d %H:%M} UTC"
    if now > end:
        return step(Outcome.FAIL, f"it has run out: {until}", "its operator must see why it is not renewed")
    if now < begin:
        advice = "set this machine's clock, best by NTP, if it is not the broker's that is wrong"
        return step(Outcome.FAIL, f"it begins on {begin:%Y-%m-%d %H:%M} UTC", advice)
    if not any(_covers(name, host) for name in names):
        said = ", ".join(names) or "no name"
        advice = "see that the URL has the broker's own name, and that the name leads to the broker"
        return step(Outcome.FAIL, f"it is for {said}, and not for {host}", advice)
    if not trusted:
        advice = "a private CA's root is given with --trust-file; a public broker must send its whole chain"
        return step(Outcome.FAIL, f"signed by {leaf.issuer.rfc4514_string()}, whom nothing here trusts", advice)
    left = f"good for {counted((end - now).days, 'day')} more, until {until}"
    if (end - now) * LITTLE_LEFT < end - begin:
        return step(Outcome.WARN, left, "its operator should see why it is not renewed")
    return step(Outcome.OK, left)


def _names(leaf: x509.Certificate) -> set[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return {*(name.lower() for name in found.get_values_for_type(x509.DNSName)), *addresses}


def _covers(name: str, host: str) -> bool:
    """RFC 9525 §6.3: a wildcard stands for one label."""
    try:
        return ip_address(name) == ip_address(host)
    except ValueError:
        return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def judge_meeting(url: str, met: PeerId | Exception) -> Step:
    """Of the authentication of both sides."""
    title = f"authentication with {host_of(url)}"
    if isinstance(met, PeerId):
        facts = {"url": url, "broker": str(met)}
        return Step(Area.BROKER, title, Outcome.OK, f"it knows this peer by its key; it is {brief(met)}", facts=facts)
    advice = "see that the URL is a broker's, and, where a proxy is in front of it, that the proxy passes on Host"
    return Step(Area.BROKER, title, Outcome.FAIL, str(met), advice, {"url": url})


def judge_status(url: str, status: Status | Exception | None, now: datetime) -> list[Step]:
    """Of what it tells of this peer."""
    if isinstance(status, Exception):
        advice = "see what the broker logs"
        title = f"status at {host_of(url)}"
        return [Step(Area.BROKER, title, Outcome.WARN, str(status), advice, {"url": url})]
    if status is None:
        found = "it does not tell what it has set, nor whom it has dialled: p2p-forge does not"
        return [Step(Area.BROKER, f"status at {host_of(url)}", Outcome.SKIP, found, facts={"url": url})]
    return [_judge_values(url, status.values), _judge_dialback(url, status.dialback, now)]


def _judge_values(url: str, values: tuple[SetValue, ...]) -> Step:
    facts = {
        "url": url,
        "values": [{"value": one.value, "until": one.until.isoformat()} for one in values],
    }
    title = f"challenges at {host_of(url)}"
    if not values:
        return Step(Area.BROKER, title, Outcome.OK, "none is set: no order of this peer is under way", facts=facts)
    until = max(one.until for one in values)
    found = f"{counted(len(values), 'value')} set until {until:%H:%M} UTC at the latest: an order is under way, or was"
    return Step(Area.BROKER, title, Outcome.OK, found, facts=facts)


def _judge_dialback(url: str, dialback: DialBack | None, now: datetime) -> Step:
    title = f"dial-back by {host_of(url)}"
    if dialback is None:
        found = "it has not dialled this peer of late"
        return Step(Area.BROKER, title, Outcome.SKIP, found, facts={"url": url, "at": None})
    tried = [{"address": one.address, "fault": one.fault, "message": one.message} for one in dialback.tried]
    facts = {"url": url, "at": dialback.at.isoformat(), "reached": dialback.reached, "tried": tried}
    minutes = int((now - dialback.at).total_seconds()) // 60
    when = f"{counted(minutes, 'minute')} ago" if minutes > 0 else "just now"
    if dialback.reached:
        met = ", ".join(one.address for one in dialback.tried if one.fault is None)
        return Step(Area.BROKER, title, Outcome.OK, f"{when} it met this peer at {met}", facts=facts)
    each = "; ".join(f"{one.address}: {one.message or one.fault}" for one in dialback.tried) or "it knew no address"
    advice = "open the port in the firewall, forward it in the router, or give --announce if it has another one outside"
    return Step(Area.BROKER, title, Outcome.WARN, f"{when} it did not meet this peer: {each}", advice, facts)
