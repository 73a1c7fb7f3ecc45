"""The settings of the role."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from nodetrust.broker.settings import BrokerSettings
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.ordering import OrderingSettings
from nodetrust.own.names import checked_names
from nodetrust.settings import HostPort, SettingsError, described


class AutoTlsSettings(OrderingSettings, frozen=True, kw_only=True):
    """What an operator may say about a broker that is a server of its own; the CA is for its own certificate."""

    broker: BrokerSettings
    state: Annotated[Path, described("the folder for the peer's key, and for the store where it is SQLite")] = Path(
        "~/.nodetrust/autotls"
    ).expanduser()
    listen: Annotated[
        tuple[Multiaddr, ...], described("a multiaddr to listen on for libp2p, which no client needs")
    ] = ()
    https_listen: Annotated[
        tuple[HostPort, ...],
        described(
            "an address for HTTPS, such as 0.0.0.0:443, with the broker's own certificate, which is ordered from the CA"
        ),
    ] = ()

    def check(self) -> None:
        """What must hold between settings."""
        OrderingSettings.check(self)
        if not self.broker.external_tls and not self.https_listen:
            raise SettingsError("https_listen: expected an address to listen on, here or in external_tls")
        if self.https_listen:
            if not self.agree_to_terms:
                raise SettingsError("agree_to_terms: expected true: read the terms of the CA, and agree to them")
            checked_names("registration_name", self.broker.registration_name)
