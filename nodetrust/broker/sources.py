"""Where a request comes from, with proxies on the way or without. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from nodetrust.addresses import normalise
from nodetrust.broker.errors import Refusal
from nodetrust.broker.wire import BAD_REQUEST
from nodetrust.names import IPAddress

MAX_HOPS = 16


def is_in(ip: IPAddress, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether one of the networks has the address."""
    return any(ip in network for network in networks)


def client_first(
    remote: IPAddress, forwarded_for: Sequence[str], proxies: Sequence[IPv4Network | IPv6Network]
) -> tuple[IPAddress, ...]:
    """The client's address, then the others that the request came over, or says that it did.

    `remote` is the socket's; `forwarded_for` the values of `X-Forwarded-For`, which count where a proxy in `proxies`
    has written them: from the end, the first address that is no such proxy's is the client's. Raises `Refusal`.
    """
    if not is_in(remote, proxies):
        return (remote,)
    texts = [text.strip() for value in forwarded_for for text in value.split(",")]
    if len(texts) > MAX_HOPS:
        raise Refusal(BAD_REQUEST, f"400 Bad Request: more than {MAX_HOPS} addresses in X-Forwarded-For.")
    hops = [_address(text) for text in texts] + [remote]
    others = [hop for hop in hops if not is_in(hop, proxies)]
    client = others[-1] if others else hops[0]
    return tuple(dict.fromkeys([client, *hops]))


def _address(text: str) -> IPAddress:
    """As proxies write it: some put IPv6 in brackets, some put a port behind."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    bare = bare.partition(":")[0] if bare.count(":") == 1 else bare
    try:
        return normalise(ip_address(bare))
    except ValueError:
        raise Refusal(BAD_REQUEST, "400 Bad Request: X-Forwarded-For has something that is no address.") from None
