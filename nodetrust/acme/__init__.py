"""An ACME client (RFC 8555) for Twisted: dns-01, profiles, renewal information. It uses nothing else of nodetrust.

<https://www.rfc-editor.org/rfc/rfc8555>, <https://www.rfc-editor.org/rfc/rfc9773> (ARI)

The `acme` package supplies the message types and JWS; its own client class blocks, and gives up at one nonce in five
refused. A CA's answers are hostile input here: https only, one origin, bounded bodies and times, and a certificate is
compared with what was ordered before it is handed out.

Read in this order:

* `errors`, `problems` (the table: problem type → error class and reaction), `urls` (the origin rule)
* `wire` (bodies ⇄ values), `jws` (keys, signed requests), `nonces`, `retries`, `links`, `profiles`, `challenges`,
  `certificate`: all pure
* `deadline`, `transport` (HTTP), `client` (one account at one CA), `complete` (an order in whatever state), `obtain`
"""

from nodetrust.acme.certificate import IssuedCertificate, ari_id
from nodetrust.acme.challenges import Dns01Record
from nodetrust.acme.client import AcmeClient, PlacedOrder
from nodetrust.acme.complete import complete
from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import (
    AcmeAccountRefused,
    AcmeError,
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeProblem,
    AcmeRateLimited,
    AcmeRefused,
    AcmeServerTrouble,
    AcmeTimedOut,
    AcmeUnreachable,
    AcmeUsageError,
    AcmeValidationFailed,
)
from nodetrust.acme.jws import account_key_from_pem, account_key_to_pem, generate_account_key
from nodetrust.acme.obtain import obtain

__all__ = [
    "AcmeAccountRefused",
    "AcmeClient",
    "AcmeError",
    "AcmeMisbehaved",
    "AcmeOrderLost",
    "AcmeProblem",
    "AcmeRateLimited",
    "AcmeRefused",
    "AcmeServerTrouble",
    "AcmeTimedOut",
    "AcmeUnreachable",
    "AcmeUsageError",
    "AcmeValidationFailed",
    "Deadline",
    "Dns01Record",
    "IssuedCertificate",
    "PlacedOrder",
    "account_key_from_pem",
    "account_key_to_pem",
    "ari_id",
    "complete",
    "generate_account_key",
    "obtain",
]
