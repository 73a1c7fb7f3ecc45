"""A UPnP gateway on loopback, which does what a test says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.web.http import Request
from twisted.web.resource import Resource

SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"
ARGUMENTS = {
    "GetExternalIPAddress": ([], ["NewExternalIPAddress"]),
    "AddPortMapping": (
        [
            "NewRemoteHost",
            "NewExternalPort",
            "NewProtocol",
            "NewInternalPort",
            "NewInternalClient",
            "NewEnabled",
            "NewPortMappingDescription",
            "NewLeaseDuration",
        ],
        [],
    ),
    "DeletePortMapping": (["NewRemoteHost", "NewExternalPort", "NewProtocol"], []),
    "GetSpecificPortMappingEntry": (
        ["NewRemoteHost", "NewExternalPort", "NewProtocol"],
        ["NewInternalPort", "NewInternalClient", "NewEnabled", "NewPortMappingDescription", "NewLeaseDuration"],
    ),
}
_TYPES = {"Port": "ui2", "Enabled": "boolean", "Duration": "ui4"}


def _type(argument: str) -> str:
    return next((kind for end, kind in _TYPES.items() if argument.endswith(end)), "string")


def device(services: str) -> str:
    """A description with these services."""
    return (
        '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>'
        "<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><UDN>uuid:1</UDN>"
        f"<serviceList>{services}</serviceList></device></root>"
    )


def service(kind: str = SERVICE, control: str = "/control", scpd: str = "/scpd.xml") -> str:
    """One service of a description."""
    return (
        f"<service><serviceType>{kind}</serviceType><serviceId>urn:upnp-org:serviceId:1</serviceId>"
        f"<SCPDURL>{scpd}</SCPDURL><controlURL>{control}</controlURL><eventSubURL>/event</eventSubURL></service>"
    )


def actions() -> str:
    """The description of the service."""
    described = "".join(
        f"<action><name>{action}</name><argumentList>"
        + "".join(_argument(name, "in") for name in given)
        + "".join(_argument(name, "out") for name in returned)
        + "</argumentList></action>"
        for action, (given, returned) in ARGUMENTS.items()
    )
    names = {name for given, returned in ARGUMENTS.values() for name in (*given, *returned)}
    variables = "".join(
        f'<stateVariable sendEvents="no"><name>{name}</name><dataType>{_type(name)}</dataType></stateVariable>'
        for name in sorted(names)
    )
    return (
        '<scpd xmlns="urn:schemas-upnp-org:service-1-0"><actionList>'
        f"{described}</actionList><serviceStateTable>{variables}</serviceStateTable></scpd>"
    )


def _argument(name: str, direction: str) -> str:
    return (
        f"<argument><name>{name}</name><direction>{direction}</direction>"
        f"<relatedStateVariable>{name}</relatedStateVariable></argument>"
    )


def envelope(body: str) -> str:
    """A SOAP answer."""
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )


class Fault(Exception):
    """What an action fails with."""


class Igd(Resource):
    """Pages by their path, and the actions as miniupnpd has them; `rule` may raise `Fault` at an AddPortMapping."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, str | Callable[[Request], Any]] = {
            "/root.xml": device(service()),
            "/scpd.xml": actions(),
        }
        self.address = "45.20.1.1"
        self.mapped: dict[int, dict[str, str]] = {}
        self.rule: Callable[[dict[str, str]], None] = lambda asked: None
        self.requests: list[str] = []

    def render_GET(self, request: Request) -> Any:
        path = request.path.decode()
        self.requests.append(path)
        page = self.pages.get(path)
        if page is None:
            request.setResponseCode(404)
            return b""
        return page(request) if callable(page) else page.encode()

    def render_POST(self, request: Request) -> Any:
        assert request.content is not None
        body = request.content.read().decode()
        action = re.sub(r'.*#|"', "", str(request.getHeader("SOAPAction")))
        self.requests.append(action)
        if callable(page := self.pages.get("/control")):
            return page(request)
        asked = dict(re.findall(r"<(New\w+)>([^<]*)</", body))
        try:
            answer = getattr(self, f"_{action}")(asked)
        except Fault as fault:
            request.setResponseCode(500)
            return envelope(
                "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
                '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0">'
                f"<errorCode>{fault.args[0]}</errorCode><errorDescription>{fault.args[-1]}</errorDescription>"
                "</UPnPError></detail></s:Fault>"
            ).encode()
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in answer.items())
        return envelope(f'<u:{action}Response xmlns:u="{SERVICE}">{inner}</u:{action}Response>').encode()

    def _GetExternalIPAddress(self, asked: dict[str, str]) -> dict[str, str]:
        return {"NewExternalIPAddress": self.address}

    def _AddPortMapping(self, asked: dict[str, str]) -> dict[str, str]:
        self.rule(asked)
        self.mapped[int(asked["NewExternalPort"])] = asked
        return {}

    def _DeletePortMapping(self, asked: dict[str, str]) -> dict[str, str]:
        if self.mapped.pop(int(asked["NewExternalPort"]), None) is None:
            raise Fault(714)
        return {}

    def _GetSpecificPortMappingEntry(self, asked: dict[str, str]) -> dict[str, str]:
        entry = self.mapped.get(int(asked["NewExternalPort"]))
        if entry is None:
            raise Fault(714)
        return {name: entry[name] for name in ARGUMENTS["GetSpecificPortMappingEntry"][1]}
