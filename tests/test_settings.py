"""Settings: one definition for file and options, and one line that names what is wrong."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.settings import (
    HostPort,
    Settings,
    SettingsError,
    ZoneName,
    build,
    described,
    from_values,
    options_for,
    read_file,
    within,
)


class Example(Settings, frozen=True, kw_only=True):
    zone: Annotated[ZoneName, described("the zone")]
    listen: Annotated[tuple[HostPort, ...], described("where to listen")] = (HostPort("127.0.0.1", 53),)
    ttl: Annotated[int, described("the TTL", ge=0, le=100)] = 60
    strict: Annotated[bool, described("be strict")] = False
    polite: Annotated[bool, described("be polite")] = True
    which: Annotated[Literal["all", "some"], described("which ones")] = "all"
    admins: Annotated[tuple[PeerId, ...], described("who may")] = ()

    def check(self):
        if self.strict and self.ttl == 0:
            raise SettingsError("ttl: expected more than 0 where strict is set")


Options = options_for(Example, "example", "An example.")


class Part(Settings, frozen=True, kw_only=True):
    doors: Annotated[tuple[str, ...], described("the name of a door")]
    height: Annotated[int, described("how high", ge=1)] = 3
    roof: Annotated[bool, described("have a roof")] = True

    def check(self):
        if self.height > 5 and not self.roof:
            raise SettingsError("height: expected at most 5 without a roof")


class House(Settings, frozen=True, kw_only=True):
    """The kitchen is always there, the garage may be missing."""

    owner: Annotated[str, described("whose it is")] = ""
    kitchen: Part
    garage: Annotated[Part | None, described("where the car is")] = None


HouseOptions = options_for(House, "house", "A house.")


PEER = PeerId.parse("12D3KooWGGF8kv9bsCqCNmeVZodvzpa63FkwFKF9xGTtDt14W4o7")


class HostPortTests(SynchronousTestCase):
    def test_written_form_comes_back(self):
        """IPv4, IPv6 and names are read and written in the same way."""
        for text in ("192.0.2.1:53", "[2001:db8::1]:0", "ns.example.org:65535"):
            self.assertEqual(str(HostPort.parse(text)), text)

    def test_refuses_what_is_none(self):
        """A missing port, one above 65535 and a bare IPv6 address are no places."""
        for text in ("", "192.0.2.1", "192.0.2.1:65536", "2001:db8::1:53", "a b:1", ":53", "[::1]"):
            self.assertRaises(ValueError, HostPort.parse, text)


class FileTests(SynchronousTestCase):
    def write(self, text):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "example.toml"
        path.write_text(text)
        return path

    def refusal(self, text):
        path = self.write(text)
        message = str(self.assertRaises(SettingsError, read_file, Example, path))
        self.assertNotIn("\n", message)
        self.assertTrue(message.startswith(str(path)), message)
        return message

    def test_reads_values_of_their_types(self):
        """Text becomes the type of the setting."""
        values = read_file(Example, self.write('zone = "NT.Example.ORG."\nlisten = ["[::1]:53"]\n'))
        settings = build(Example, values)
        self.assertEqual(settings.zone, "nt.example.org")
        self.assertEqual(settings.listen, (HostPort("::1", 53),))
        self.assertEqual(settings.ttl, 60)

    def test_reads_peer_ids(self):
        """Peer IDs are written as texts, and what is none is refused with its key."""
        self.assertEqual(read_file(Example, self.write(f'admins = ["{PEER}"]\n')), {"admins": (PEER,)})
        self.assertIn("admins: ", self.refusal('admins = ["nobody"]\n'))
        self.assertIn("admins: ", self.refusal("admins = [7]\n"))

    def test_names_file_key_and_expectation(self):
        """Whatever is wrong, the one line says in which file, at which key, and what was expected."""
        self.assertIn("listen[1]: expected HOST:PORT", self.refusal('listen = ["127.0.0.1:53", "nowhere"]'))
        self.assertIn("ttl: expected int <= 100", self.refusal("ttl = 101"))
        self.assertIn("ttl: expected int, got str", self.refusal('ttl = "60"'))
        self.assertIn("strict: expected bool, got int", self.refusal("strict = 1"))
        self.assertIn("which: expected one of all, some, got 'none'", self.refusal('which = "none"'))
        self.assertIn("zone: ", self.refusal('zone = "a..b"'))
        self.assertIn(
            "colour: no such setting; there are admins, listen, polite, strict, ttl, which, zone",
            self.refusal('colour = "red"'),
        )
        self.assertIn("expected a TOML file", self.refusal("zone = "))

    def test_names_a_file_that_cannot_be_read(self):
        """A file that is not there is named."""
        error = self.assertRaises(SettingsError, read_file, Example, Path("/nonexistent/example.toml"))
        self.assertEqual(str(error), "/nonexistent/example.toml: cannot be read: No such file or directory")


class OptionTests(SynchronousTestCase):
    def parse(self, *arguments):
        options = Options()
        options.parseOptions(list(arguments))
        return options.settings

    def test_options_win_over_the_file(self):
        """An option replaces the file's value, and repeats add up."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "example.toml"
        path.write_text('zone = "a.example"\nttl = 1\nlisten = ["127.0.0.1:1"]\n')
        settings = self.parse(
            "--config", str(path), "--ttl", "2", "--listen", "127.0.0.1:2", "--listen", "127.0.0.1:3", "--strict"
        )
        self.assertEqual((settings.zone, settings.ttl, settings.strict), ("a.example", 2, True))
        self.assertEqual(settings.listen, (HostPort("127.0.0.1", 2), HostPort("127.0.0.1", 3)))

    def test_a_wrong_option_ends_the_start_with_one_line(self):
        """The line names the command, the option and what was expected."""
        ended = self.assertRaises(SystemExit, self.parse, "--zone", "a.example", "--ttl", "many")
        self.assertEqual(ended.code, "example: --ttl: expected int, got str")

    def test_one_of_several_that_is_wrong(self):
        """The line names the option as it was written."""
        ended = self.assertRaises(SystemExit, self.parse, "--zone", "a.example", "--listen", "[::1]:1", "--listen", "x")
        self.assertEqual(ended.code, "example: --listen: expected HOST:PORT or [IPV6]:PORT, got 'x'")

    def test_what_is_on_is_turned_off_by_name(self):
        """An option never does the opposite of what it is called."""
        self.assertIs(self.parse("--zone", "a.example").polite, True)
        self.assertIs(self.parse("--zone", "a.example", "--no-polite").polite, False)
        self.assertIn("do not be polite", Options().getUsage())
        self.assertNotIn("--polite", Options().getUsage())

    def test_a_missing_setting_is_named(self):
        """A setting without default must be given, and the line says how."""
        ended = self.assertRaises(SystemExit, self.parse)
        self.assertEqual(ended.code, "example: zone: is not set: give --zone, or put zone into the file of --config")

    def test_settings_that_do_not_fit_together(self):
        """What the settings' own check refuses ends the start, too."""
        ended = self.assertRaises(SystemExit, self.parse, "--zone", "a.example", "--strict", "--ttl", "0")
        self.assertIn("ttl: expected more than 0", ended.code)

    def test_settings_of_a_file_that_do_not_fit_together(self):
        """The file is named where the setting comes from it."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "example.toml"
        path.write_text('zone = "a.example"\nttl = 0\nstrict = true\n')
        ended = self.assertRaises(SystemExit, self.parse, "--config", str(path))
        self.assertEqual(ended.code, f"example: {path}: ttl: expected more than 0 where strict is set")

    def test_help_explains_every_setting(self):
        """Each option is in the help text, with its description and default."""
        text = " ".join(str(Options()).split())
        for expected in (
            "--zone= the zone [required]",
            "--listen=",
            "(may be given several times)",
            "the TTL",
            "--config=",
        ):
            self.assertIn(expected, text)
        self.assertIn("[default: 60]", text)


class PartTests(SynchronousTestCase):
    """Settings in settings."""

    def parse(self, *arguments, file=None):
        if file is not None:
            folder = TemporaryDirectory()
            self.addCleanup(folder.cleanup)
            self.path = Path(folder.name) / "house.toml"
            self.path.write_text(file)
            arguments = ("--config", str(self.path), *arguments)
        options = HouseOptions()
        options.parseOptions(list(arguments))
        return options.settings

    def refused(self, *arguments, file=None):
        return str(self.assertRaises(SystemExit, self.parse, *arguments, file=file).code)

    def test_what_is_always_there(self):
        """Its keys stand among the others."""
        self.assertEqual(self.parse("--doors", "in", "--owner", "me"), House(owner="me", kitchen=Part(doors=("in",))))
        self.assertEqual(self.parse(file='doors = ["a"]\nheight = 2\n').kitchen, Part(doors=("a",), height=2))

    def test_a_table(self):
        """What may be missing is a table of the file."""
        settings = self.parse(file='doors = ["a"]\n[garage]\ndoors = ["b"]\nroof = false\n')
        self.assertEqual(settings.garage, Part(doors=("b",), roof=False))
        self.assertIsNone(self.parse("--doors", "a").garage)

    def test_options_of_a_table(self):
        """They have its name before theirs, win over the file, and alone mean that it is there."""
        file = 'doors = ["a"]\n[garage]\ndoors = ["b"]\nheight = 4\n'
        settings = self.parse("--garage-doors", "c", "--garage-doors", "d", "--no-garage-roof", file=file)
        self.assertEqual(settings.garage, Part(doors=("c", "d"), height=4, roof=False))
        self.assertEqual(self.parse("--doors", "a", "--garage-doors", "b").garage, Part(doors=("b",)))

    def test_what_is_missing_in_a_table(self):
        """The line says where to put it."""
        expected = "garage.doors: is not set: give --garage-doors, or put doors into the table [garage] of the file"
        self.assertIn(expected, self.refused("--doors", "a", "--garage-height", "2"))
        self.assertIn(expected, self.refused(file='doors = ["a"]\n[garage]\n'))

    def test_what_is_wrong_in_a_table(self):
        """The line names file, table, key and what was expected."""
        self.assertEqual(
            self.refused(file="[garage]\nheight = 0\n"), f"house: {self.path}: garage.height: expected int >= 1"
        )
        self.assertEqual(
            self.refused(file="[garage]\ncolour = 1\n"),
            f"house: {self.path}: garage.colour: no such setting; there are doors, height, roof",
        )
        self.assertIn("garage.height: no such setting", self.refused(file='"garage.height" = 4\n'))
        self.assertEqual(self.refused(file="garage = 1\n"), f"house: {self.path}: garage: expected a table, got 1")
        self.assertIn("there are doors, garage, height, owner, roof", self.refused(file="colour = 1\n"))
        self.assertEqual(self.refused("--garage-height", "x"), "house: --garage-height: expected int, got str")

    def test_what_does_not_fit_together_in_a_table(self):
        """Its own check names the key with the table."""
        file = 'doors = ["a"]\n[garage]\ndoors = ["b"]\nheight = 6\nroof = false\n'
        wrong = "garage.height: expected at most 5 without a roof"
        self.assertEqual(self.refused(file=file), f"house: {self.path}: {wrong}")
        table = {"doors": "b", "height": 6, "roof": False}
        self.assertIsNone(from_values(House, {"doors": "a", "garage": None}).garage)
        error = self.assertRaises(SettingsError, from_values, House, {"doors": "a", "garage": table})
        self.assertEqual(str(error), wrong)

    def test_within(self):
        """What is found wrong later is named in the same way."""
        with self.assertRaises(SettingsError) as caught, within("garage"):
            raise SettingsError("doors: they are stuck")
        self.assertEqual(str(caught.exception), "garage.doors: they are stuck")

    def test_help(self):
        """Each option of a table is there; its name alone is none."""
        text = " ".join(str(HouseOptions()).split())
        for expected in ("--garage-doors= ", "[required with any other --garage-]", "--no-garage-roof", "--owner="):
            self.assertIn(expected, text)
        self.assertNotIn("--garage=", text)
        self.assertNotIn("--kitchen", text)
