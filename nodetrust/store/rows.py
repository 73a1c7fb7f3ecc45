"""Values ⇄ rows. Pure."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from nodetrust.store.values import (
    OrderRequest,
    StoredAccount,
    StoredCertificate,
    StoredDialback,
    StoredOrder,
    StoredRegistration,
    StoredTrouble,
)

Row = Mapping[str, Any]


def account_to_row(account: StoredAccount) -> dict[str, object]:
    """The columns of `accounts`."""
    return {
        "directory_url": account.directory_url,
        "key_pem": account.key_pem,
        "account_url": account.account_url,
        "next_key_pem": account.next_key_pem,
    }


def account_from_row(row: Row) -> StoredAccount:
    """The opposite of `account_to_row`."""
    return StoredAccount(row["directory_url"], bytes(row["key_pem"]), row["account_url"], _bytes(row["next_key_pem"]))


def certificate_to_row(certificate: StoredCertificate) -> dict[str, object]:
    """The columns of `certificates`, but for `id` and `is_newest`."""
    return {
        "peer_id": certificate.peer_id,
        "names": names_to_column(certificate.names),
        "public_key_sha256": certificate.public_key_sha256,
        "crypto": certificate.crypto,
        "certificate_pem": certificate.certificate_pem,
        "issuers_pem": certificate.issuers_pem,
        "not_before": seconds_of(certificate.not_before),
        "not_after": seconds_of(certificate.not_after),
        "from_csr": certificate.from_csr,
        "directory_url": certificate.directory_url,
        "renew_at": None if certificate.renew_at is None else seconds_of(certificate.renew_at),
        "ari_checked_at": 0 if certificate.ari_checked_at is None else seconds_of(certificate.ari_checked_at),
    }


def certificate_from_row(row: Row) -> StoredCertificate:
    """The opposite of `certificate_to_row`."""
    return StoredCertificate(
        peer_id=bytes(row["peer_id"]),
        names=tuple(row["names"].split(" ")),
        public_key_sha256=bytes(row["public_key_sha256"]),
        crypto=row["crypto"],
        certificate_pem=bytes(row["certificate_pem"]),
        issuers_pem=bytes(row["issuers_pem"]),
        not_before=time_of(row["not_before"]),
        not_after=time_of(row["not_after"]),
        from_csr=bool(row["from_csr"]),
        directory_url=row["directory_url"],
        renew_at=None if row["renew_at"] is None else time_of(row["renew_at"]),
        ari_checked_at=time_of(row["ari_checked_at"]) if row["ari_checked_at"] else None,
        id=row["id"],
    )


def request_to_row(request: OrderRequest) -> dict[str, object]:
    """The columns of `orders` that say what is ordered."""
    return {
        "same": request.same,
        "peer_id": request.peer_id,
        "names": " ".join(request.names),
        "crypto": request.crypto,
        "csr_der": request.csr_der,
    }


def order_from_row(row: Row) -> StoredOrder:
    """An order, from all columns of `orders`."""
    return StoredOrder(
        id=row["id"],
        request=OrderRequest(
            bytes(row["same"]),
            bytes(row["peer_id"]),
            tuple(row["names"].split(" ")),
            row["crypto"],
            _bytes(row["csr_der"]),
        ),
        directory_url=row["directory_url"],
        order_url=row["order_url"],
        placing=bool(row["placing"]),
        records=tuple((name, value) for name, value in json.loads(row["records"])),
        opened_at=time_of(row["opened_at"]),
        settled=bool(row["settled"]),
        replaces=row["replaces"],
    )


def records_to_column(records: Iterable[tuple[str, str]]) -> str:
    """The TXT records of an order as JSON."""
    return json.dumps([list(record) for record in records])


def trouble_to_row(trouble: StoredTrouble) -> dict[str, object]:
    """The columns of `troubles`."""
    return {
        "directory_url": trouble.directory_url,
        "failures": trouble.failures,
        "until": seconds_of(trouble.until),
        "reason": trouble.reason,
    }


def trouble_from_row(row: Row) -> StoredTrouble:
    """The opposite of `trouble_to_row`."""
    return StoredTrouble(row["directory_url"], row["failures"], time_of(row["until"]), row["reason"])


def registration_to_row(registration: StoredRegistration) -> dict[str, object]:
    """The columns of `registrations`."""
    return {
        "peer_id": registration.peer_id,
        "value": registration.value,
        "set_at": registration.set_at.timestamp(),
        "until": registration.until.timestamp(),
    }


def registration_from_row(row: Row) -> StoredRegistration:
    """The opposite of `registration_to_row`."""
    set_at, until = (datetime.fromtimestamp(row[key], UTC) for key in ("set_at", "until"))
    return StoredRegistration(bytes(row["peer_id"]), row["value"], set_at, until)


def dialback_to_row(dialback: StoredDialback) -> dict[str, object]:
    """The columns of `dialbacks`."""
    return {
        "peer_id": dialback.peer_id,
        "dialled_at": dialback.dialled_at.timestamp(),
        "outcome": dialback.outcome,
    }


def dialback_from_row(row: Row) -> StoredDialback:
    """The opposite of `dialback_to_row`."""
    return StoredDialback(bytes(row["peer_id"]), datetime.fromtimestamp(row["dialled_at"], UTC), row["outcome"])


def names_to_column(names: Iterable[str]) -> str:
    """One text for a set of names, whatever their order; DNS names hold no spaces."""
    return " ".join(sorted(names))


def seconds_of(time: datetime) -> int:
    """Whole seconds since 1970 of an aware time."""
    return int(time.timestamp())


def time_of(seconds: int) -> datetime:
    """The opposite of `seconds_of`."""
    return datetime.fromtimestamp(seconds, UTC)


def _bytes(column: bytes | memoryview | None) -> bytes | None:
    return None if column is None else bytes(column)
