"""The checkout itself: traps that no single module's tests would see."""

import configparser
import inspect
import pkgutil
import subprocess
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

import nodetrust
import tests

CHECKOUT = Path(__file__).parents[1]

REGISTRY_HOSTS = tuple(
    f"{name}.org" for name in ("registry.npmjs", "pypi", "pythonhosted", "proxy.golang", "sum.golang")
)
"""Put together, so that this file does not have what it looks for."""


class PackagingTests(SynchronousTestCase):
    """What goes into the wheel."""

    def test_every_package_is_listed(self) -> None:
        """setup.cfg names each package of ours: with twisted.plugins beside them they can't be found by themselves."""
        configuration = configparser.ConfigParser()
        configuration.read(CHECKOUT / "setup.cfg")
        listed = set(configuration["options"]["packages"].split())
        found = {"nodetrust", "twisted.plugins"}
        found |= {p.name for p in pkgutil.walk_packages(nodetrust.__path__, "nodetrust.") if p.ispkg}
        self.assertEqual(listed, found)

    def test_plugins_folder_is_no_package(self) -> None:
        """A twisted/__init__.py of ours would hide Twisted itself, one in plugins/ other projects' plugins."""
        self.assertEqual(list((CHECKOUT / "twisted").rglob("__init__.py")), [])


class TestsTests(SynchronousTestCase):
    """The tests."""

    def test_no_test_passes_without_running(self) -> None:
        """A SynchronousTestCase calls an `async def` test and throws the coroutine away."""
        modules = [import_module(found.name) for found in pkgutil.walk_packages(tests.__path__, "tests.")]
        idle = [
            f"{case.__module__}.{case.__qualname__}.{name}"
            for module in modules
            for _, case in inspect.getmembers(module, inspect.isclass)
            if issubclass(case, SynchronousTestCase) and not issubclass(case, TestCase)
            for name, method in inspect.getmembers(case, inspect.iscoroutinefunction)
            if name.startswith("test")
        ]
        self.assertEqual(idle, [])

    def test_every_folder_of_tests_is_a_package(self) -> None:
        """Trial does not look into a folder without an __init__.py, and says nothing."""
        lost = {file.parent for file in (CHECKOUT / "tests").rglob("test_*.py")}
        self.assertEqual([folder for folder in lost if not (folder / "__init__.py").exists()], [])


class CommittedFilesTests(SynchronousTestCase):
    """What git has."""

    def test_no_registry_is_named(self) -> None:
        """Where packages come from is a matter of the machine, not of a lock file."""
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if listing.returncode != 0:
            raise SkipTest("this is no git checkout")
        files = [CHECKOUT / name for name in listing.stdout.split("\0") if name]
        self.assertGreater(len(files), 100)
        naming = [
            str(file.relative_to(CHECKOUT))
            for file in files
            if file.is_file() and any(host.encode() in file.read_bytes() for host in REGISTRY_HOSTS)
        ]
        self.assertEqual(naming, [])
