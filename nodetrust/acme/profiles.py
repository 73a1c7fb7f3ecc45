"""Which of a CA's certificate profiles to order (draft-ietf-acme-profiles). Pure."""

from collections.abc import Sequence

from nodetrust.acme.errors import AcmeUsageError

_USUAL = ("default", "classic")


def choose_profile(offered: Sequence[str], configured: str | None) -> str | None:
    """The profile to name in an order; None only where the CA has none at all.

    A profile is always named, for a CA may otherwise draw one (Pebble does, with lifetimes from days to years, so that
    no two runs are alike). Without a configured one it is the CA's own everyday profile, because short lifetimes are a
    promise to renew that only the operator can give; failing that the first by name, so that it is always the same.
    Raises `AcmeUsageError` for a configured profile that the CA does not offer.
    """
    if configured is not None and configured not in offered:
        known = ", ".join(offered) or "none"
        raise AcmeUsageError(f"the CA does not offer the profile {configured!r}; it offers: {known}")
    if configured is not None or not offered:
        return configured
    return next((name for name in _USUAL if name in offered), min(offered))
