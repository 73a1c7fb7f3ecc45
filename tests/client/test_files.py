"""A certificate in a folder, whatever stops the writing of it."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.files as files
from nodetrust.certificates import make_key
from nodetrust.client.errors import ObtainError
from nodetrust.client.obtain import Obtained
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import ECDSA_P256
from tests.client.examples import certificate, moment

ISSUER = PrivateKey.generate().peer_id


class FolderTests(SynchronousTestCase):
    """Two certificates, one after the other, in one folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.first, self.second = self.obtained(), self.obtained()

    def obtained(self) -> Obtained:
        key = make_key(ECDSA_P256)
        return Obtained(certificate(key, ["a.example"], moment(0)), key, (), from_cache=False, issuer=ISSUER)

    def test_what_was_saved_is_loaded(self) -> None:
        """Key and chain belong together, and both files with the key are the owner's alone."""
        files.save(self.folder, self.first)
        loaded = files.load(self.folder)
        assert loaded is not None
        self.assertEqual((loaded.chain, loaded.issuer), (self.first.chain, ISSUER))
        self.assertTrue(loaded.chain.is_for(loaded.key))
        for name in ("key.pem", "combined.pem"):
            self.assertEqual((self.folder / name).stat().st_mode & 0o777, 0o600)

    def test_a_stop_between_any_two_files(self) -> None:
        """There is a certificate with its key afterwards, the old one or the new one: a restart orders nothing."""
        for stop_after in range(7):
            files.save(self.folder, self.first)
            self.patch(files, "replace_file", self.stopping(stop_after))
            self.assertRaises(ObtainError, files.save, self.folder, self.second)
            self.patch(files, "replace_file", self.real)
            loaded = files.load(self.folder)
            assert loaded is not None
            self.assertEqual(loaded.chain, self.second.chain if stop_after else self.first.chain)

    real = staticmethod(files.replace_file)

    def stopping(self, after: int) -> Any:
        """A `replace_file` that fails once so many files are written."""
        written: list[Path] = []

        def replace_file(path: Path, content: bytes, mode: int) -> None:
            if len(written) == after:
                raise OSError(28, "No space left on device")
            written.append(path)
            self.real(path, content, mode)

        return replace_file

    def test_a_folder_of_an_earlier_version(self) -> None:
        """Without the file that has both, the two others are read; who has given it may be unknown."""
        files.save(self.folder, self.first)
        (self.folder / "combined.pem").unlink()
        (self.folder / "issuer.txt").unlink()
        loaded = files.load(self.folder)
        assert loaded is not None
        self.assertEqual((loaded.chain, loaded.issuer), (self.first.chain, None))
