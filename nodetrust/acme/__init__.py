"""An ACME client (RFC 8555) for Twisted: dns-01, dns-persist-01, profiles, renewal information.

It uses nothing else of nodetrust.

<https://www.rfc-editor.org/rfc/rfc8555>, <https://www.rfc-editor.org/rfc/rfc9773> (ARI)

The `acme` package supplies the message types and JWS; its own client class blocks, and gives up at one nonce in five
refused. A CA's answers are hostile input here: https only, one origin, bounded bodies and times, and a certificate is
compared with what was ordered before it is handed out.

Read in this order:

* `errors`, `problems` (the table: problem type → error class and reaction), `urls` (the origin rule)
* `wire` (bodies ⇄ values), `jws` (keys, signed requests), `nonces`, `retries`, `links`, `profiles`, `persist`,
  `challenges`, `certificate`, `renewal`: all pure
* `deadline`, `plain_http` and `transport` (HTTP), and then, each on top of the one before, `requests` (nonces,
  repeats), `account`, `orders`, `client` (certificates): one account at one CA
* `complete` (an order in whatever state), `obtain` (a whole order)
"""

from nodetrust.acme.certificate import IssuedCertificate, ari_id
from nodetrust.acme.challenges import ChallengeType, Dns01Record
from nodetrust.acme.client import AcmeClient
from nodetrust.acme.complete import complete
from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import (
    AcmeAccountRefused,
    AcmeAlreadyRevoked,
    AcmeBindingRefused,
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
    AcmeUserActionRequired,
    AcmeValidationFailed,
    Subproblem,
)
from nodetrust.acme.jws import (
    ExternalAccount,
    account_key_from_pem,
    account_key_to_pem,
    certificate_key_from_pem,
    generate_account_key,
)
from nodetrust.acme.obtain import obtain
from nodetrust.acme.orders import PlacedOrder
from nodetrust.acme.persist import persist_value
from nodetrust.acme.renewal import RenewalInfo, replaces
from nodetrust.acme.wire import RenewalWindow

__all__ = [
    "AcmeAccountRefused",
    "AcmeAlreadyRevoked",
    "AcmeBindingRefused",
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
    "AcmeUserActionRequired",
    "AcmeValidationFailed",
    "ChallengeType",
    "Deadline",
    "Dns01Record",
    "ExternalAccount",
    "IssuedCertificate",
    "PlacedOrder",
    "RenewalInfo",
    "RenewalWindow",
    "Subproblem",
    "account_key_from_pem",
    "account_key_to_pem",
    "ari_id",
    "certificate_key_from_pem",
    "complete",
    "generate_account_key",
    "obtain",
    "persist_value",
    "replaces",
]
