"""What `nodetrust obtain` is asked for, whichever way the certificate comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodetrust.certificates import CRYPTO_NAMES, CertificateKey, CryptoName, key_crypto, make_key
from nodetrust.client.files import load_key, make_folder
from nodetrust.keyfile import load_or_create
from nodetrust.libp2p.host import Host
from nodetrust.service import AGENT_VERSION, KEY_FILE, dial_options
from nodetrust.settings import HostPort


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that both ways have."""

    out: Path
    peer_key: Path | None
    crypto: CryptoName
    new_key: bool
    nameserver: HostPort | None
    trust_file: Path | None

    def open_host(self, reactor: Any) -> Host:
        """With the peer's key, which is made where it is not there, as is the folder. Raises `NodetrustError`."""
        dialling = dial_options(reactor, self.nameserver, self.trust_file)
        make_folder(self.out)
        identity = load_or_create(self.peer_key or self.out / KEY_FILE)
        return Host(reactor, identity, agent_version=AGENT_VERSION, **dialling)

    def certificate_key(self) -> CertificateKey:
        """That of an earlier run, if it is to be used and of the right algorithm, or a new one."""
        crypto = CRYPTO_NAMES[self.crypto]
        key = None if self.new_key else load_key(self.out)
        return key if key is not None and key_crypto(key) == crypto else make_key(crypto)
