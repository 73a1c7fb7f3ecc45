"""`twistd nodetrust-client`."""

from __future__ import annotations

from nodetrust.client.service import ClientService
from nodetrust.client.settings import ClientSettings
from nodetrust.service import service_maker
from nodetrust.settings import options_for

Options = options_for(
    ClientSettings,
    "nodetrust-client",
    "Obtain a certificate for the addresses that this peer proves, serve WSS with it, renew it, and announce it.",
)
makeService = service_maker(ClientService)
