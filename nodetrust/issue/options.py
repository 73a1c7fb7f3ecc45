"""`twistd nodetrust-issue`."""

from __future__ import annotations

from nodetrust.issue.service import IssueService
from nodetrust.issue.settings import IssueSettings
from nodetrust.service import service_maker
from nodetrust.settings import options_for

Options = options_for(
    IssueSettings,
    "nodetrust-issue",
    "Check the proofs of peers, get certificates for them from an ACME CA, and hand them over.",
)
makeService = service_maker(IssueService)
