"""HTTP PeerID authentication (`libp2p-PeerID`): the two sides of an HTTP request prove their peer IDs.

Specification: <https://github.com/libp2p/specs/blob/master/http/peer-id-auth.md>. It has nothing of Twisted: whoever
speaks HTTP sends the headers. In reading order:

* `errors`
* `wire`: the parameters of a header, and what is signed
* `tokens`: what the server must remember, sealed and handed to the client
* `server`: from a request's header to who has made it
* `client`: which header to send, and what an answer means
"""

from nodetrust.peer_auth.client import ClientHandshake, Token, hostname_of
from nodetrust.peer_auth.errors import InvalidHeader, PeerAuthError, ServerNotProven, ServerRefused
from nodetrust.peer_auth.server import (
    Authenticated,
    Refused,
    ServerRules,
    Unauthenticated,
    Verdict,
    authenticate,
    host_is_ours,
    without_port,
)
from nodetrust.peer_auth.wire import CHALLENGE_BYTES, challenge_of

__all__ = [
    "CHALLENGE_BYTES",
    "Authenticated",
    "ClientHandshake",
    "InvalidHeader",
    "PeerAuthError",
    "Refused",
    "ServerNotProven",
    "ServerRefused",
    "ServerRules",
    "Token",
    "Unauthenticated",
    "Verdict",
    "authenticate",
    "challenge_of",
    "host_is_ours",
    "hostname_of",
    "without_port",
]
