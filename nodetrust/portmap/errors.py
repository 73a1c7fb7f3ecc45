"""Why a port is not mapped."""

from __future__ import annotations

from nodetrust.errors import NodetrustError


class PortMapError(NodetrustError):
    """What keeps a port from being mapped."""


class NoGatewayError(PortMapError):
    """There is no gateway to ask, or none that is needed."""


class NoAnswerError(PortMapError):
    """The gateway does not speak the protocol, or is not there."""


class RefusedError(PortMapError):
    """The gateway speaks the protocol, and says no, or nothing that can be used."""


class NoPublicAddressError(RefusedError):
    """The gateway has no address that others reach: it is behind another NAT, or not connected at all.

    miniupnpd, say, maps nothing at an address that is not public, and does not tell it either.
    """
