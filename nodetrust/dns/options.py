"""`twistd nodetrust-dns`."""

from __future__ import annotations

from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.service import service_maker
from nodetrust.settings import options_for

Options = options_for(
    DnsSettings,
    "nodetrust-dns",
    "Answer DNS for one zone: names that spell addresses and peer IDs, ACME challenges, and a zone file.",
)
makeService = service_maker(DnsService)
