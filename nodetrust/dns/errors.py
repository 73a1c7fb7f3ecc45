"""What the DNS server refuses, each kind its own class."""

from nodetrust.errors import NodetrustError
from nodetrust.messages import Error


class DnsError(NodetrustError):
    """The root of this folder's errors."""


class NotAQuery(DnsError):
    """A packet that must get no answer at all: no whole header, or itself a response (answering those makes loops)."""


class OverLimit(DnsError):
    """A query that gets no answer because too many came from where it comes from."""


class BadQuery(DnsError):
    """A packet that is answered with its header alone and the response code `rcode`."""

    def __init__(self, rcode: int) -> None:
        super().__init__(f"the query is answered with response code {rcode}")
        self.rcode = rcode


class BrokenLabel(DnsError):
    """A label that begins like one of ours (`ip4`, `ip6`, `p`) and spells nothing."""


class ZoneError(DnsError):
    """A zone file that is refused; the text begins with `file:line:` where a line is to blame."""


class ZoneKeyError(ZoneError):
    """A DNSSEC key that cannot be read, written or used; the text names its file."""


class ChallengeRefused(DnsError):
    """A challenge that this server will not publish; `error` is the number that goes into the DNS01Response."""

    def __init__(self, error: Error, message: str) -> None:
        super().__init__(message)
        self.error = error


class RequestUnreadable(ChallengeRefused):
    """What stands where a request should be is none: nothing that follows it is worth reading."""


class CannotBind(DnsError):
    """An address that the DNS server cannot listen on."""
