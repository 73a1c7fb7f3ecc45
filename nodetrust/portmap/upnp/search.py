"""Where the gateway's description is: a search by SSDP (UPnP Device Architecture 1.1 §1.3)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlsplit

from async_upnp_client.ssdp import build_ssdp_search_packet, decode_ssdp_packet, is_valid_ssdp_packet
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol

from nodetrust.portmap.errors import NoAnswerError
from nodetrust.portmap.mapping import Place

GROUP = ("239.255.255.250", 1900)
TARGETS = tuple(f"urn:schemas-upnp-org:device:InternetGatewayDevice:{version}" for version in (1, 2))

LONGEST_DELAY_SECONDS = 1
"""The header MX: a device waits for a random part of it before it answers."""

SEARCH_SECONDS = (0.5, 0.5, 1.5)
"""How long answers are waited for after each search; UDP loses some."""

GATHER_SECONDS = 0.3
"""After the first answer, for those that the gateway gives beside it."""

MAX_LOCATIONS = 4
"""A gateway has one description for each version of IGD that it speaks."""

MAX_ANSWER_BYTES = 2048
MAX_URL_CHARACTERS = 512


def is_on(gateway: IPv4Address, url: str) -> bool:
    """Whether it is an http URL with the gateway's own address: what a device sends us to, and no other, is fetched."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "http" and parts.netloc in (str(gateway), f"{gateway}:{port}") and port != 0


def read_location(data: bytes, gateway: IPv4Address) -> str | None:
    """The description's URL in the gateway's answer to a search; None if there is none that may be fetched."""
    if len(data) > MAX_ANSWER_BYTES or not is_valid_ssdp_packet(data):
        return None
    try:
        headers = decode_ssdp_packet(data, None, (str(gateway), GROUP[1]))[1]
    except Exception:  # aiohttp's parser of headers has no root for its errors
        return None
    location = str(headers.get("location", "")).strip()
    return location if is_on(gateway, location) else None


async def search(reactor: Any, place: Place) -> list[str]:
    """The URLs of the gateway's descriptions; raises `NoAnswerError` if it has none.

    The group is asked on the network of the gateway, and the gateway itself: some hear only one of the two.
    """
    searching = _Search(reactor, place)
    own_address = str(place.own_address)
    try:
        port = reactor.listenMulticast(0, searching, interface=own_address)
    except CannotListenError as error:
        raise NoAnswerError(f"there is no socket to search with: {error.socketError}") from error
    try:
        await port.setOutgoingInterface(own_address)
        searching.begin()
        return await searching.outcome
    finally:
        searching.end()
        port.stopListening()


class _Search(DatagramProtocol):
    noisy = False

    def __init__(self, reactor: Any, place: Place) -> None:
        self.outcome: Deferred[list[str]] = Deferred()
        self._reactor = reactor
        self._gateway = place.gateway
        self._locations: list[str] = []
        self._waits = list(SEARCH_SECONDS)
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        if not self._waits:
            self._finish()
            return
        self._timer = self._reactor.callLater(self._waits.pop(0), self.begin)
        packets = [build_ssdp_search_packet(GROUP, LONGEST_DELAY_SECONDS, target) for target in TARGETS]
        transport: Any = self.transport
        try:
            for packet in packets:
                transport.write(packet, GROUP)
                transport.write(packet, (str(self._gateway), GROUP[1]))
        except OSError as error:
            self._fail(NoAnswerError(f"it cannot be searched for: {error.strerror}"))

    def end(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def datagramReceived(self, data: bytes, address: Any) -> None:
        if address[0] != str(self._gateway) or len(self._locations) >= MAX_LOCATIONS:
            return
        location = read_location(data, self._gateway)
        if location is None or location in self._locations:
            return
        if not self._locations:
            self.end()
            self._timer = self._reactor.callLater(GATHER_SECONDS, self._finish)
        self._locations.append(location)

    def _finish(self) -> None:
        if self._locations:
            self.outcome.callback(self._locations)
        else:
            self._fail(NoAnswerError("it does not answer"))

    def _fail(self, error: NoAnswerError) -> None:
        self.end()
        if not self.outcome.called:
            self.outcome.errback(error)
