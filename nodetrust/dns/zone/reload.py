"""SIGHUP: the zone file is read again, checked, and only then put in the place of the zone in force."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nodetrust.dns.errors import ZoneError
from nodetrust.dns.records import name_to_text
from nodetrust.dns.zone.zone import Zone

_HALF_OF_ALL_SERIALS = 1 << 31

_SignalHandler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


class ZoneReload:
    """Reads the zone by `read`, which runs off the reactor thread, and hands it to `put_in_force`.

    A zone that `read` refuses with ZoneError changes nothing: the log says file and line, and the old one stays.
    `in_force` is the zone at the start.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, read: Callable[[], Zone], in_force: Zone, put_in_force: Callable[[Zone], None]
    ) -> None:
        self._reactor = reactor
        self._read = read
        self._in_force = in_force
        self._put_in_force = put_in_force
        self._reading = False
        self._again = False
        self._stopped = False
        self._replaced: _SignalHandler = None

    def start(self) -> None:
        """Reload at each SIGHUP. Python lets only the main thread ask for signals; elsewhere call `reload`."""
        if threading.current_thread() is threading.main_thread():
            self._replaced = signal.signal(signal.SIGHUP, self._on_signal)

    def stop(self) -> None:
        """Let go of the signal; what is being read is not put in force any more."""
        self._stopped = True
        if self._replaced is not None:
            signal.signal(signal.SIGHUP, self._replaced)
            self._replaced = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self.reload)

    def reload(self) -> Deferred[None]:
        """Read the zone now, or once more after the reading that is under way; never fires with a failure."""
        if self._reading:
            self._again = True
            return succeed(None)
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        self._reading, self._again = True, True
        try:
            while self._again and not self._stopped:
                self._again = False
                await self._read_once()
        finally:
            self._reading = False

    async def _read_once(self) -> None:
        try:
            zone = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._read)
        except ZoneError as error:
            self.log.error(
                "the zone file is refused, and serial {serial} stays in force: {error}",
                serial=self._in_force.serial,
                error=str(error),
            )
            return
        except Exception:  # a bug in the reader must not end a server that answers
            self.log.failure("the zone file could not be read")
            return
        if self._stopped:
            return
        self._check_serial(zone)
        self._in_force = zone
        self._put_in_force(zone)
        self.log.info(
            "zone {zone} is reloaded: serial {serial}, {names} names",
            zone=name_to_text(zone.origin),
            serial=zone.serial,
            names=len(zone.nodes),
        )

    def _check_serial(self, zone: Zone) -> None:
        """Say so when a change will go unseen: tools and other name servers compare serials (RFC 1982), not records."""
        old, new = self._in_force.serial, zone.serial
        if old == new and zone.nodes != self._in_force.nodes:
            self.log.warn("the zone has changed and its serial {serial} has not", serial=new)
        elif (new - old) % (2 * _HALF_OF_ALL_SERIALS) >= _HALF_OF_ALL_SERIALS:
            self.log.warn("the zone's serial went back from {old} to {new}", old=old, new=new)
