"""`twistd nodetrust-autotls`."""

from __future__ import annotations

from nodetrust.autotls.service import AutoTlsService
from nodetrust.autotls.settings import AutoTlsSettings
from nodetrust.service import service_maker
from nodetrust.settings import options_for

Options = options_for(
    AutoTlsSettings,
    "nodetrust-autotls",
    "Be the AutoTLS broker with whose help js-libp2p, Kubo and others get certificates.",
)
makeService = service_maker(AutoTlsService)
