"""Which worlds are looked at, and beside which others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from benchmarks.shared_domain.parameters import LISTED, PUBLISHED, RAISED, Parameters
from nodetrust.names import NameChoice

MODES: tuple[NameChoice, ...] = get_args(NameChoice)
LIMITS = (PUBLISHED, LISTED, RAISED)
SMALL = (100, 300, 1000, 3000)
PREFIXES = (1, 10, 100, 1000)
HONEST_BESIDE_SYBILS = 120
"""Joining evenly: fifteen a week, of the 25 that Let's Encrypt's limit and our default leave to new peers."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world, and the words for what it differs in."""

    table: str
    labels: tuple[str, ...]
    parameters: Parameters


def large(base: Parameters) -> list[Scenario]:
    """Each naming mode under each set of limits."""
    return [
        Scenario("large", (limits.name, names), replace(base, names=names, limits=limits))
        for limits in LIMITS
        for names in MODES
    ]


def small(base: Parameters) -> list[Scenario]:
    """How large a domain may be under the published limits, with nobody who cheats."""
    shares = {"addresses": (50,), "peer": (50, 10), "both": (50,)}
    return [
        Scenario(
            "small",
            (f"{peers:,}", f"{names}, {share} %"),
            replace(base, peers=peers, names=names, renewal_share=share, sybils=0, launch=0.0),
        )
        for peers in SMALL
        for names in MODES
        for share in shares[names]
    ]


def sybils(base: Parameters) -> list[Scenario]:
    """A small domain under the published limits beside Sybils in more and more prefixes."""
    honest = replace(base, peers=HONEST_BESIDE_SYBILS, launch=0.0, shared_addresses=0.0, names="peer")
    return [
        Scenario(
            "sybils",
            (f"{prefixes:,}", "yes" if quotas else "no"),
            replace(honest, sybil_prefixes=prefixes, prefix_quotas=quotas),
        )
        for prefixes in PREFIXES
        for quotas in (False, True)
    ]
