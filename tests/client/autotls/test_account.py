"""The account at the CA, in a file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import account_key_to_pem
from nodetrust.client.autotls.account import Account, account_file, load_account, read_account, save_account
from nodetrust.client.autotls.errors import AccountFileError

DIRECTORY = "https://ca.example/directory"


class AccountTests(SynchronousTestCase):
    """One file for each CA."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_made_once(self) -> None:
        """The key is kept from the first moment, for its owner alone."""
        made = load_account(self.folder, DIRECTORY)
        again = load_account(self.folder, DIRECTORY)
        self.assertEqual(account_key_to_pem(again.key), account_key_to_pem(made.key))
        self.assertEqual((made.url, again.url), (None, None))
        self.assertEqual(account_file(self.folder, DIRECTORY).stat().st_mode & 0o777, 0o600)

    def test_only_read(self) -> None:
        """Who only looks makes none."""
        self.assertIsNone(read_account(self.folder, DIRECTORY))
        self.assertEqual(list(self.folder.iterdir()), [])
        made = load_account(self.folder, DIRECTORY)
        read = read_account(self.folder, DIRECTORY)
        assert read is not None
        self.assertEqual(account_key_to_pem(read.key), account_key_to_pem(made.key))

    def test_the_url_is_kept(self) -> None:
        """What the CA calls the account."""
        made = load_account(self.folder, DIRECTORY)
        save_account(self.folder, Account(DIRECTORY, made.key, "https://ca.example/account/1"))
        self.assertEqual(load_account(self.folder, DIRECTORY).url, "https://ca.example/account/1")

    def test_another_ca(self) -> None:
        """It gets another key."""
        one, other = (load_account(self.folder, url) for url in (DIRECTORY, "https://other.example/directory"))
        self.assertNotEqual(account_key_to_pem(one.key), account_key_to_pem(other.key))

    def test_a_file_that_is_none(self) -> None:
        """It is named, and stays as it is: a key that is lost takes the account with it."""
        path = account_file(self.folder, DIRECTORY)
        for content in (
            b"",
            b"{",
            b"[]",
            b'{"url": null}',
            b'{"url": 1, "key": ""}',
            b'{"url": null, "key": "x"}',
            b"\xff",
        ):
            path.write_bytes(content)
            error = self.assertRaises(AccountFileError, load_account, self.folder, DIRECTORY)
            self.assertIn(str(path), str(error))
            self.assertEqual(path.read_bytes(), content)

    def test_a_folder_that_cannot_be_written_to(self) -> None:
        """The file is named."""
        error = self.assertRaises(AccountFileError, load_account, self.folder / "nowhere", DIRECTORY)
        self.assertIn("nowhere", str(error))
