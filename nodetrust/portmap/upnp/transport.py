"""`Upnp`: one port mapped by UPnP IGD."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any
from xml.etree.ElementTree import ParseError

from async_upnp_client.client import UpnpDevice, UpnpService
from async_upnp_client.client_factory import UpnpFactory
from async_upnp_client.const import HttpResponse
from async_upnp_client.exceptions import UpnpActionError, UpnpError, UpnpResponseError
from twisted.internet import defer
from twisted.internet.defer import Deferred

from nodetrust.portmap.errors import NoAnswerError, NoPublicAddressError, PortMapError, RefusedError
from nodetrust.portmap.mapping import Granted, Place, Wanted
from nodetrust.portmap.upnp.faults import (
    CONFLICT,
    CONFLICT_WITH_OTHER_MECHANISM,
    PERMANENT_ONLY,
    SAME_PORTS_ONLY,
    describe,
)
from nodetrust.portmap.upnp.requester import GatewayRequester
from nodetrust.portmap.upnp.search import search

SERVICE_TYPES = tuple(
    f"urn:schemas-upnp-org:service:{service}"
    for service in ("WANIPConnection:2", "WANIPConnection:1", "WANPPPConnection:1")
)
"""What maps ports, the best first; a router on DSL may have the last alone."""

DESCRIBE_SECONDS = 10.0
"""For the description, and those that it leads to."""

PORTS_TO_TRY = 4
_HIGH_PORTS = range(49152, 65536)
"""Which external port to ask for when another machine has the wanted one (RFC 6335 §6: nobody's in particular)."""

_NO_ACTIONS = '<scpd xmlns="urn:schemas-upnp-org:service-1-0"/>'
_MALFORMED = (
    UpnpError,
    ParseError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ArithmeticError,
    RecursionError,
)
"""What the library lets through when a device's XML is not what it should be; a test with broken XML found them."""

logging.getLogger("async_upnp_client").addHandler(logging.NullHandler())  # or its warnings would be on stderr


class _Fault(RefusedError):
    """A refusal with its code."""

    def __init__(self, code: int | None, description: str | None) -> None:
        super().__init__(describe(code, description))
        self.code = code


class Upnp:
    """Speaks UPnP with the gateway of `place`; `chance` gives random numbers from 0 up to 1."""

    name = "UPnP"

    def __init__(self, reactor: Any, place: Place, wanted: Wanted, chance: Callable[[], float]) -> None:
        self._reactor = reactor
        self._place = place
        self._wanted = wanted
        self._chance = chance
        self._external_port = wanted.external_port
        self._lease = wanted.lifetime_seconds
        self._address: IPv4Address | None = None
        self._service: UpnpService | None = None
        self._asked = False

    async def probe(self) -> None:
        """Search for the gateway's description, and read it."""
        reason: PortMapError = NoAnswerError("it does not answer")
        for location in await search(self._reactor, self._place):
            try:
                describing = Deferred.fromCoroutine(self._describe(location))
                await describing.addTimeout(DESCRIBE_SECONDS, self._reactor)
                return
            except PortMapError as error:
                reason = error
            except defer.TimeoutError:
                reason = NoAnswerError("its description takes too long")
        raise reason

    async def _describe(self, location: str) -> None:
        factory = UpnpFactory(
            GatewayRequester(self._reactor, self._place.gateway),
            non_strict=True,
            on_post_receive_service_spec=_forgive,
        )
        with _in_words():
            device = await factory.async_create_device(location)
        self._service, self._address = await self._choose(device)

    async def _choose(self, device: UpnpDevice) -> tuple[UpnpService, IPv4Address]:
        """The service that has an external address: a router may have several, one of them for each line."""
        services = [one for kind in SERVICE_TYPES for one in device.all_services if one.service_type == kind]
        reason: PortMapError = RefusedError("it maps no ports")
        for service in services:
            try:
                return service, await self._ask_address(service)
            except PortMapError as error:
                reason = error
        raise reason

    async def add(self) -> Granted:
        """Map, or renew; another external port if the wanted one is another machine's."""
        address = await self._ask_address(self._found)
        self._asked = True
        for _ in range(PORTS_TO_TRY):
            try:
                await self._add_at(self._external_port)
                break
            except _Fault as fault:
                if not self._give_way(fault):
                    raise
        else:
            raise RefusedError(f"{PORTS_TO_TRY} external ports are others' already")
        self._address = address
        return Granted(address, self._external_port, self._lease or None)

    def _give_way(self, fault: _Fault) -> bool:
        """Ask for less, if there is less to ask for."""
        if fault.code == PERMANENT_ONLY and self._lease:
            self._lease = 0
        elif fault.code == SAME_PORTS_ONLY and self._external_port != self._wanted.internal_port:
            self._external_port = self._wanted.internal_port
        elif fault.code in (CONFLICT, CONFLICT_WITH_OTHER_MECHANISM):
            self._external_port = _HIGH_PORTS[int(self._chance() * len(_HIGH_PORTS))]
        else:
            return False
        return True

    async def _add_at(self, external_port: int) -> None:
        await self._call(
            self._found,
            "AddPortMapping",
            NewRemoteHost="",
            NewExternalPort=external_port,
            NewProtocol="TCP",
            NewInternalPort=self._wanted.internal_port,
            NewInternalClient=str(self._place.own_address),
            NewEnabled=True,
            NewPortMappingDescription=self._wanted.description,
            NewLeaseDuration=self._lease,
        )

    async def check(self) -> Granted | None:
        """Look at the mapping and the external address; map again if one of them is not as it was."""
        address = await self._ask_address(self._found)
        if address != self._address or not await self._is_mapped():
            return await self.add()
        return None

    async def _is_mapped(self) -> bool:
        try:
            entry = await self._call(self._found, "GetSpecificPortMappingEntry", **self._entry)
        except RefusedError:  # it is not there, or the gateway does not tell
            return False
        client, port = str(entry.get("NewInternalClient", "")), entry.get("NewInternalPort")
        return (client.strip(), port) == (str(self._place.own_address), self._wanted.internal_port)

    async def remove(self) -> None:
        """End the mapping, if there may be one."""
        if self._asked and self._service is not None:
            await self._call(self._service, "DeletePortMapping", **self._entry)

    @property
    def _entry(self) -> dict[str, Any]:
        return {"NewRemoteHost": "", "NewExternalPort": self._external_port, "NewProtocol": "TCP"}

    @property
    def _found(self) -> UpnpService:
        if self._service is None:
            raise NoAnswerError("it has not been found")
        return self._service

    async def _ask_address(self, service: UpnpService) -> IPv4Address:
        answer = await self._call(service, "GetExternalIPAddress")
        try:
            address = IPv4Address(str(answer.get("NewExternalIPAddress", "")).strip())
        except AddressValueError:
            address = IPv4Address(0)
        if address.is_unspecified:
            raise NoPublicAddressError("it has no external address: it may not be connected to the internet")
        return address

    async def _call(self, service: UpnpService, action: str, **arguments: Any) -> Mapping[str, Any]:
        with _in_words():
            return await service.async_call_action(action, **arguments)


def _forgive(response: HttpResponse) -> HttpResponse:
    """A service whose description is not there has no actions; it may be one that we do not need."""
    good = response.status_code == 200 and (response.body or "").strip()
    return HttpResponse(200, response.headers, response.body if good else _NO_ACTIONS)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except UpnpActionError as error:
        raise _Fault(error.error_code, error.error_desc) from error
    except UpnpResponseError as error:
        raise RefusedError(f"its HTTP server answers with the status {error.status}") from error
    except _MALFORMED as error:
        raise RefusedError(f"its UPnP is malformed: {type(error).__name__}") from error
