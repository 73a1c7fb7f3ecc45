"""A certificate and its key in a folder: `cert.pem`, `chain.pem`, `fullchain.pem` and `key.pem` (0600).

`combined.pem` (0600) has the key and then the full chain. It is written first, and read before the others: in one file
they are there together or not at all, whenever the machine stops. `addresses.txt` has the addresses that were proven
for the certificate, one a line: the names of a certificate for a peer and everything below it do not tell them.
`renew-at.txt` has the time at which to ask for the next one (ISO 8601), if the issue server has said it or a running
client has planned it.
"""

from __future__ import annotations

import os
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from nodetrust.certificates import CertificateKey, Chain, InvalidCertificate, key_from_pem, key_to_pem
from nodetrust.client.errors import ObtainError
from nodetrust.client.obtain import Obtained
from nodetrust.files import replace_file
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress

COMBINED_FILE = "combined.pem"
KEY_FILE = "key.pem"
FULL_CHAIN_FILE = "fullchain.pem"
ADDRESSES_FILE = "addresses.txt"
RENEW_AT_FILE = "renew-at.txt"
ISSUER_FILE = "issuer.txt"


def save(folder: Path, obtained: Obtained) -> None:
    """Write the files, each of them whole or not at all; raises `ObtainError` naming the one that failed."""
    chain = obtained.chain
    key = key_to_pem(obtained.key)
    contents = {
        COMBINED_FILE: (key + chain.full_pem, 0o600),
        KEY_FILE: (key, 0o600),
        "cert.pem": (chain.leaf_pem, 0o644),
        "chain.pem": (chain.authorities_pem, 0o644),
        FULL_CHAIN_FILE: (chain.full_pem, 0o644),
        ADDRESSES_FILE: ("".join(f"{address}\n" for address in obtained.addresses).encode(), 0o644),
        RENEW_AT_FILE: (b"" if obtained.renew_at is None else f"{obtained.renew_at.isoformat()}\n".encode(), 0o644),
        ISSUER_FILE: (b"" if obtained.issuer is None else f"{obtained.issuer}\n".encode(), 0o644),
    }
    make_folder(folder)
    for name, (content, mode) in contents.items():
        try:
            replace_file(folder / name, content, mode)
        except OSError as error:
            raise ObtainError(f"{folder / name}: cannot be written: {error.strerror}") from error


def make_folder(folder: Path) -> None:
    """Make the folder if it is not there; raises `ObtainError` if that, or writing to it, is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ObtainError(f"{folder}: cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ObtainError(f"{folder}: cannot be written to")


def load_key(folder: Path) -> CertificateKey | None:
    """The key of an earlier run, if there is one; raises `ObtainError` if it cannot be read."""
    name = COMBINED_FILE if (folder / COMBINED_FILE).exists() else KEY_FILE
    pem = _read(folder / name)
    try:
        return None if pem is None else key_from_pem(pem)
    except InvalidCertificate as error:
        raise ObtainError(f"{folder / name}: {error}") from error


def load_chain(folder: Path) -> Chain | None:
    """The certificate of an earlier run, if there is one, whatever key it is for; raises as `load_key`."""
    name = COMBINED_FILE if (folder / COMBINED_FILE).exists() else FULL_CHAIN_FILE
    pem = _read(folder / name)
    try:
        return None if pem is None else Chain.from_pem(pem)
    except InvalidCertificate as error:
        raise ObtainError(f"{folder / name}: {error}") from error


def load(folder: Path) -> Obtained | None:
    """The certificate and key of an earlier run, if they are there and belong together; raises as `load_key`."""
    key, chain = load_key(folder), load_chain(folder)
    if key is None or chain is None or not chain.is_for(key):
        return None
    addresses, renew_at, issuer = _load_addresses(folder), _load_renew_at(folder), _load_issuer(folder)
    return Obtained(chain, key, addresses, from_cache=True, renew_at=renew_at, issuer=issuer)


def _load_addresses(folder: Path) -> tuple[IPAddress, ...]:
    lines = (_read(folder / ADDRESSES_FILE) or b"").decode("ascii", "replace").split()
    try:
        return tuple(ip_address(line) for line in lines)
    except ValueError as error:
        raise ObtainError(f"{folder / ADDRESSES_FILE}: {error}") from None


def _load_renew_at(folder: Path) -> datetime | None:
    """The plan, if it is one: without it, the certificate is as good."""
    try:
        found = datetime.fromisoformat((_read(folder / RENEW_AT_FILE) or b"").decode("ascii", "replace").strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _load_issuer(folder: Path) -> PeerId | None:
    """Who has given it, if that can be read: without it, the certificate is as good."""
    try:
        return PeerId.parse((_read(folder / ISSUER_FILE) or b"").decode("ascii", "replace").strip())
    except Libp2pError:
        return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ObtainError(f"{path}: cannot be read: {error.strerror}") from error
