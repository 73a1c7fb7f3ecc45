"""One port, kept mapped: by the first protocol that works, renewed, looked after, and mapped again when it is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from nodetrust.addresses import special_block
from nodetrust.portmap.errors import NoAnswerError, NoGatewayError, NoPublicAddressError, PortMapError, RefusedError
from nodetrust.portmap.mapping import Granted, Mapping, Place, Wanted
from nodetrust.portmap.plan import seconds_to_check, seconds_to_renew, seconds_to_retry, trusted_lifetime
from nodetrust.portmap.protocols import PortProtocol, PortProtocols

STOP_SECONDS = 3.0
"""How long a stop waits for the gateway to end the mapping; but for a permanent one it ends by itself in an hour."""

SHORTEST_SLEEP_SECONDS = 0.01
"""Less than that is nothing on a clock that counts since 1970 in a float."""


class Keeper:
    """Keeps `wanted` mapped from `start` to `stop`.

    `changed` is called with each mapping that differs from the one before, and with None when there is none any more.
    A gateway that falls silent leaves a mapping valid until its lifetime ends: it may only be restarting.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        wanted: Wanted,
        changed: Callable[[Mapping | None], None],
        find_place: Callable[[], Place],
        protocols: PortProtocols,
        *,
        steady: Callable[[], float],
        chance: Callable[[], float],
        check_seconds: float,
    ) -> None:
        self.current: Mapping | None = None
        self.no_public_address = False
        """The gateway's reason at the last try."""
        self._reactor = reactor
        self._wanted = wanted
        self._changed = changed
        self._find_place = find_place
        self._protocols = protocols
        self._steady = steady
        self._chance = chance
        self._check_seconds = check_seconds
        self._place: Place | None = None
        self._protocol: PortProtocol | None = None
        self._renew_at = 0.0
        self._good_until = 0.0
        self._last_words = ""
        self._sleeping: Deferred[None] | None = None
        self._running: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to map the port."""
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(
            lambda failure: (
                None
                if failure.check(CancelledError)
                else self.log.failure("mapping a port has failed in a way that is a bug", failure=failure)
            )
        )

    async def stop(self) -> None:
        """Give up what is under way, and end the mapping if the gateway is there; never raises."""
        self._stopped = True
        if self._running is not None:
            self._running.cancel()
        protocol, self._protocol, self.current = self._protocol, None, None
        if protocol is None:
            return
        try:
            await Deferred.fromCoroutine(protocol.remove()).addTimeout(STOP_SECONDS, self._reactor)
        except (PortMapError, defer.TimeoutError) as error:
            self.log.info(
                "the mapping of port {port} is left to end by itself: {protocol}: {reason}",
                port=self._wanted.internal_port,
                protocol=protocol.name,
                reason=str(error) if isinstance(error, PortMapError) else "it does not answer in time",
            )

    def look(self) -> None:
        """Check now, or try again now."""
        if self._sleeping is not None:
            self._sleeping.cancel()

    async def _run(self) -> None:
        failures = 0
        while not self._stopped:
            try:
                await self._establish()
            except PortMapError as error:
                if self._stopped:
                    return
                failures += 1
                self._failed(error)
                await self._sleep(seconds_to_retry(failures, self._chance()))
                continue
            failures = 0
            await self._until_silent()

    async def _establish(self) -> None:
        """Map by the first protocol that works. All are tried at once; each that is preferred is waited for."""
        place = self._find_place()
        if special_block(place.own_address) is None:
            raise NoGatewayError(f"this machine's own address {place.own_address} is public, and needs none")
        if self._place not in (None, place):
            self._lose()
        self._place = place
        mapped_before = None if self._protocol is None else self._protocol.name
        silent_before: PortProtocol | None = None
        candidates = self._protocols(place, self._wanted)
        probes = [Deferred.fromCoroutine(candidate.probe()) for candidate in candidates]
        reasons: list[tuple[str, PortMapError]] = []
        try:
            for candidate, probe in zip(candidates, probes, strict=True):
                try:
                    await probe
                    if silent_before is None or not await self._is_back(place, silent_before):
                        await self._map(place, candidate)
                    return
                except PortMapError as error:
                    reasons.append((candidate.name, error))
                    if candidate.name == mapped_before and isinstance(error, NoAnswerError):
                        silent_before = candidate
        finally:
            for probe in probes:
                probe.addErrback(lambda failure: None)
                probe.cancel()
        raise _combine(place, reasons)

    async def _map(self, place: Place, protocol: PortProtocol) -> None:
        self._protocol = protocol
        self._take(place, protocol, await protocol.add())

    async def _is_back(self, place: Place, protocol: PortProtocol) -> bool:
        """Map by what mapped before, if the router only began to speak after it had been asked for that."""
        try:
            await protocol.probe()
            await self._map(place, protocol)
        except PortMapError:
            return False
        return True

    async def _until_silent(self) -> None:
        """Look after the mapping until its protocol fails."""
        while self._place is not None and self._protocol is not None:
            now = self._steady()
            await self._sleep(min(seconds_to_check(self._check_seconds, self._chance()), self._renew_at - now))
            try:
                if self._find_place() != self._place:
                    return
                renew = self._steady() >= self._renew_at
                granted = await (self._protocol.add() if renew else self._protocol.check())
            except PortMapError as error:
                self.log.debug("{protocol} fails: {reason}", protocol=self._protocol.name, reason=str(error))
                return
            if granted is not None:
                self._take(self._place, self._protocol, granted)

    async def _sleep(self, seconds: float) -> None:
        self._sleeping = deferLater(self._reactor, max(seconds, SHORTEST_SLEEP_SECONDS))
        try:
            await self._sleeping
        except CancelledError:
            if self._stopped:
                raise
        finally:
            self._sleeping = None

    def _take(self, place: Place, protocol: PortProtocol, granted: Granted) -> None:
        self.no_public_address = False
        now = self._steady()
        self._renew_at = now + seconds_to_renew(granted.lifetime_seconds, self._chance())
        self._good_until = now + trusted_lifetime(granted.lifetime_seconds)
        mapping = Mapping(
            granted.external_address,
            granted.external_port,
            place.own_address,
            self._wanted.internal_port,
            place.gateway,
            protocol.name,
            granted.lifetime_seconds,
        )
        self._tell(mapping)

    def _failed(self, error: PortMapError) -> None:
        """Say why there is no mapping, once; the one that was is lost if the gateway says so or its time is over."""
        self.no_public_address = isinstance(error, NoPublicAddressError)
        if not isinstance(error, NoAnswerError) or self._steady() >= self._good_until:
            self._lose()
        level = LogLevel.debug if str(error) == self._last_words else LogLevel.info
        self._last_words = str(error)
        port = self._wanted.internal_port
        self.log.emit(level, "port {port} is not mapped: {reason}", port=port, reason=str(error))

    def _lose(self) -> None:
        if self.current is not None:
            self.log.info(
                "port {port} is no longer reachable at {address}:{external_port}",
                port=self._wanted.internal_port,
                address=str(self.current.external_address),
                external_port=self.current.external_port,
            )
            self._tell(None)

    def _tell(self, mapping: Mapping | None) -> None:
        if mapping == self.current:
            return
        self.current = mapping
        if mapping is not None:
            self._log(mapping)
            self._last_words = ""
        self._changed(mapping)

    def _log(self, mapping: Mapping) -> None:
        block = mapping.not_public
        self.log.emit(
            LogLevel.info if block is None else LogLevel.warn,
            "port {port} is mapped to {address}:{external_port} by {protocol} on the router {gateway}{but}",
            port=mapping.internal_port,
            address=str(mapping.external_address),
            external_port=mapping.external_port,
            protocol=mapping.protocol,
            gateway=str(mapping.gateway),
            but=""
            if block is None
            else f", but nobody outside can dial it: the router's own address is not public ({block.purpose}, "
            f"{block.source}), it is behind another router or the provider's NAT",
        )


def _combine(place: Place, reasons: list[tuple[str, PortMapError]]) -> PortMapError:
    """One error for all protocols; a refusal if one of them was one, for then the gateway is there."""
    silent = [name for name, error in reasons if isinstance(error, NoAnswerError)]
    refusals = [f"{name}: {error}" for name, error in reasons if not isinstance(error, NoAnswerError)]
    if not refusals:
        return NoAnswerError(f"the router {place.gateway} does not answer by {', '.join(silent)}")
    no_address = any(isinstance(error, NoPublicAddressError) for _, error in reasons)
    kind = NoPublicAddressError if no_address else RefusedError
    return kind(f"the router {place.gateway} refuses. {'; '.join(refusals)}")
