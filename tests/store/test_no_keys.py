"""No private key of a certificate is in the store, nor anywhere else on the issue server's disk."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from nodetrust.messages import ECDSA_P256, OK, RSA
from tests.servers import ServersTestCase


def secrets_of(key_pem: bytes) -> list[bytes]:
    """What of a private key must not be found: each line of its PEM, its DER, and its bare secret number."""
    key = load_pem_private_key(key_pem, None)
    found = [line for line in key_pem.splitlines() if len(line) > 20 and b"-----" not in line]
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        found.append(key.private_bytes(Encoding.DER, form, NoEncryption()))
    if isinstance(key, EllipticCurvePrivateKey):
        found.append(key.private_numbers().private_value.to_bytes(32, "big"))
    elif isinstance(key, RSAPrivateKey):
        numbers = key.private_numbers()
        found += [number.to_bytes(256, "big").lstrip(b"\0") for number in (numbers.d, numbers.p, numbers.q)]
    return found


class NoKeysTests(ServersTestCase):
    """The requests of 2018, for which the issue server makes the key."""

    async def test_keys_that_were_made_here(self) -> None:
        """They are given to the peer and kept nowhere; the certificates are, for the next request."""
        servers = await self.start()
        keys, certificates = [], []
        for crypto in (ECDSA_P256, RSA):
            peer = await self.connected_peer(servers)
            response = await peer.ask(peer.request(csr=None, supportedCryptos=[crypto]))
            self.assertEqual(response.error, OK)
            keys.append(response.key)
            certificates.append(response.cert)
        self._check(servers.folder / "issue", keys, certificates)
        await servers.stop()
        self._check(servers.folder / "issue", keys, certificates)

    def _check(self, folder: Path, keys: list[bytes], certificates: list[bytes]) -> None:
        contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        everything = b"".join(contents.values())
        for certificate in certificates:
            self.assertIn(certificate, everything, "the store was looked into")
        for path, content in contents.items():
            for secret in [secret for key in keys for secret in secrets_of(key)]:
                self.assertNotIn(secret, content, path)
