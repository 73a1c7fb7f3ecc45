"""Whole files or none."""

import os
import stat
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.files import create_file, hold_folder, replace_file


class FileTests(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "file"

    def left(self):
        return sorted(found.name for found in self.folder.iterdir())

    def test_replaces_whole(self):
        """The new content stands in place of the old, with the mode that was asked for, and nothing beside it."""
        replace_file(self.path, b"old")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        replace_file(self.path, b"new", 0o644)
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)
        self.assertEqual(self.left(), ["file"])

    def test_never_creates_over_another(self):
        """A file that is there stays as it is."""
        create_file(self.path, b"first")
        self.assertRaises(FileExistsError, create_file, self.path, b"second")
        self.assertEqual(self.path.read_bytes(), b"first")
        self.assertEqual(self.left(), ["file"])

    def test_a_failure_leaves_the_old_file(self):
        """A disk that fails in the middle costs nothing that was there."""
        replace_file(self.path, b"old")
        for failing in ("os.fsync", "os.replace"):
            with mock.patch(failing, side_effect=OSError(28, "No space left on device")):
                self.assertRaises(OSError, replace_file, self.path, b"new")
            self.assertEqual((self.path.read_bytes(), self.left()), (b"old", ["file"]))

    def test_a_folder_that_is_not_there(self):
        """Folders are not made: whoever writes knows their mode."""
        self.assertRaises(FileNotFoundError, replace_file, self.folder / "none" / "file", b"")

    def test_a_folder_that_is_held(self):
        """Nobody else holds it until it is let go; nothing is written."""
        held = hold_folder(self.folder)
        self.assertRaises(BlockingIOError, hold_folder, self.folder)
        os.close(held)
        os.close(hold_folder(self.folder))
        self.assertEqual(self.left(), [])
        self.assertRaises(FileNotFoundError, hold_folder, self.folder / "none")
