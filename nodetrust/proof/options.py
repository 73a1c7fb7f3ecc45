"""`twistd nodetrust-proof`."""

from __future__ import annotations

from nodetrust.proof.service import ProofService
from nodetrust.proof.settings import ProofSettings
from nodetrust.service import service_maker
from nodetrust.settings import options_for

Options = options_for(
    ProofSettings,
    "nodetrust-proof",
    "Tell each peer, in a signed document, which address it comes from. Run several, in different networks.",
)
makeService = service_maker(ProofService)
