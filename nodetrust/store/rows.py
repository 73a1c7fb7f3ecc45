"""Values ⇄ rows. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from nodetrust.store.values import StoredAccount, StoredCertificate

Row = Mapping[str, Any]


def account_to_row(account: StoredAccount) -> dict[str, object]:
    """The columns of `accounts`."""
    return {
        "directory_url": account.directory_url,
        "key_pem": account.key_pem,
        "account_url": account.account_url,
    }


def account_from_row(row: Row) -> StoredAccount:
    """The opposite of `account_to_row`."""
    return StoredAccount(row["directory_url"], bytes(row["key_pem"]), row["account_url"])


def certificate_to_row(certificate: StoredCertificate) -> dict[str, object]:
    """The columns of `certificates`, but for `id`."""
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
    }


def certificate_from_row(row: Row) -> StoredCertificate:
    """The opposite of `certificate_to_row`."""
    return StoredCertificate(
        bytes(row["peer_id"]),
        tuple(row["names"].split(" ")),
        bytes(row["public_key_sha256"]),
        row["crypto"],
        bytes(row["certificate_pem"]),
        bytes(row["issuers_pem"]),
        datetime.fromtimestamp(row["not_before"], UTC),
        datetime.fromtimestamp(row["not_after"], UTC),
        bool(row["from_csr"]),
    )


def names_to_column(names: Iterable[str]) -> str:
    """One text for a set of names, whatever their order; DNS names hold no spaces."""
    return " ".join(sorted(names))


def seconds_of(time: datetime) -> int:
    """Whole seconds since 1970 of an aware time."""
    return int(time.timestamp())
