"""Key files: made once, whole, for their owner alone; errors name the file."""

import base64
import os
import stat
from pathlib import Path

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.keyfile import MAX_FILE_BYTES, KeyFileError, load, load_or_create
from nodetrust.libp2p.keys import KeyType, PrivateKey
from tests import vectors

KEYS = vectors.load("libp2p-keys.json")["keys"]


class KeyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "peer.key"

    def write(self, content: bytes, mode: int = 0o600) -> None:
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def test_created_once(self) -> None:
        """The first call makes the key, later ones read it; nothing else stays in the folder."""
        for kind in (KeyType.ED25519, KeyType.SECP256K1):
            self.path = self.folder / kind.name
            key = load_or_create(self.path, kind)
            self.assertEqual(key.type, kind)
            for again in (load_or_create(self.path), load(str(self.path))):
                self.assertEqual(again.to_protobuf(), key.to_protobuf())
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(len(os.listdir(self.folder)), 2)

    def test_content(self) -> None:
        """The file is the base64 of the protobuf, as other programs keep it; RSA too."""
        for name in ("rsa", "ecdsa"):
            private = bytes.fromhex(KEYS[name]["private"])
            self.write(base64.b64encode(private))
            self.assertEqual(str(load(self.path).peer_id), KEYS[name]["peer_id"])
        self.path.unlink()
        key = load_or_create(self.path)
        self.assertEqual(self.path.read_bytes(), base64.b64encode(key.to_protobuf()) + b"\n")

    def test_race(self) -> None:
        """Who comes second gets the first one's key: a file that appears meanwhile is not overwritten."""
        first = base64.b64encode(PrivateKey.from_seed(b"\2" * 32).to_protobuf())
        real_link = os.link

        def link_late(source: str, target: Path) -> None:
            self.write(first)
            real_link(source, target)

        self.patch(os, "link", link_late)
        self.assertEqual(str(load_or_create(self.path).peer_id), KEYS["seed02"]["peer_id"])
        self.assertEqual(os.listdir(self.folder), ["peer.key"])

    def test_failure_leaves_nothing(self) -> None:
        """If the disk fails, there is no half-written key and no rest."""

        def fail(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", fail)
        error = self.assertRaises(KeyFileError, load_or_create, self.path)
        self.assertIn(f"{self.path} can not be written: No space left", str(error))
        self.assertEqual(os.listdir(self.folder), [])

    def test_unreadable(self) -> None:
        """A missing file, a folder, a missing folder: the error names the file."""
        for broken in (self.path, self.folder):
            self.assertIn(str(broken), str(self.assertRaises(KeyFileError, load, broken)))
        missing = self.folder / "none" / "peer.key"
        self.assertIn(str(missing), str(self.assertRaises(KeyFileError, load_or_create, missing)))

    def test_bad_content(self) -> None:
        """What is no key is refused and stays as it is; the error never shows the content."""
        secret = base64.b64encode(PrivateKey.generate().to_protobuf())
        for content in (
            b"",
            b"not base64!",
            secret[:-8],
            base64.b64encode(b"hello"),
            secret * 2,
            b"A" * (MAX_FILE_BYTES + 1),
        ):
            self.write(content)
            for read in (load, load_or_create):
                text = str(self.assertRaises(KeyFileError, read, self.path))
                self.assertIn(str(self.path), text)
                self.assertNotIn(secret[20:40].decode(), text)
            self.assertEqual(self.path.read_bytes(), content)

    def test_mode(self) -> None:
        """A key that others may read is used, with one warning that names the file; a private one without."""
        content = base64.b64encode(PrivateKey.from_seed(b"\1" * 32).to_protobuf())
        for mode, warnings in ((0o644, 1), (0o640, 1), (0o620, 1), (0o600, 0), (0o400, 0)):
            self.write(content, mode)
            with capturedLogs() as captured:
                load(self.path)
            self.assertEqual([event["path"] for event in captured], [str(self.path)] * warnings)
            self.path.chmod(0o600)
