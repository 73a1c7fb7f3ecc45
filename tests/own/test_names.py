"""The names of a server itself."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.own.names import checked_names, is_covered, names_to_order
from nodetrust.settings import SettingsError


class NamesTests(SynchronousTestCase):
    def test_checked(self) -> None:
        """In lower case, each once; the error names the setting."""
        self.assertEqual(checked_names("own_names", ["A.b.test", "a.B.test"]), {"a.b.test"})
        error = self.assertRaises(SettingsError, checked_names, "own_names", ["a_b.test"])
        self.assertTrue(str(error).startswith("own_names: "), error)

    def test_to_order(self) -> None:
        """A wildcard stands for the names of one label more, and for no others."""
        names = ["*.b.test", "a.b.test", "b.test", "x.a.b.test", "*.x.b.test"]
        self.assertEqual(names_to_order(names), ("*.b.test", "*.x.b.test", "b.test", "x.a.b.test"))

    def test_covered(self) -> None:
        """What was left out of an order is covered by its certificate all the same."""
        for name, covered in (("a.b.test", True), ("b.test", False), ("x.a.b.test", False), ("c.test", True)):
            self.assertIs(is_covered(name, {"*.b.test", "c.test"}), covered)
