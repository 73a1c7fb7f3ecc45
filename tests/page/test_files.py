"""The page's files: those that are shipped, and what is put into them."""

import gzip
import json
import re

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.page.files import CONTENT_TYPES, About, PageFiles

ABOUT = About(
    zone="nt.test", peer="<peer>", addresses=("/dns/a", "/dns/{{peer}}&"), issuer=("/dns/b/tcp/1/tls/ws",), topic="t"
)
MAX_ZIPPED_BYTES = 200_000
"""Of the whole page: what a phone on a slow line waits for."""


class FilledTests(SynchronousTestCase):
    """What depends on the server."""

    def setUp(self) -> None:
        self.files = PageFiles(
            {"index.html": b"{{zone}}|{{peer}}|{{addresses}}", "a-1.js": b"x" * 5000, "b-2.svg": b"y"}
        )

    def text(self, name: str) -> str:
        file = self.files.get(name, ABOUT)
        assert file is not None
        return file.body.decode()

    def test_the_page(self) -> None:
        """Zone, peer ID and addresses, none of which is taken for markup or for a place to fill."""
        items = "<li><code>/dns/a</code></li><li><code>/dns/&#123;&#123;peer}}&amp;</code></li>"
        self.assertEqual(self.text(""), f"nt.test|&lt;peer&gt;|{items}")

    def test_config(self) -> None:
        """What the program in the page needs; without WSS there is no address."""
        expected = {"zone": "nt.test", "topic": "t", "issuer": ["/dns/b/tcp/1/tls/ws"]}
        self.assertEqual(json.loads(self.text("config.json")), expected)

    def test_names(self) -> None:
        """A file has its own name alone; what is filled may not be kept, the others may for ever."""
        for name, lasting in (("", False), ("config.json", False), ("a-1.js", True), ("b-2.svg", True)):
            file = self.files.get(name, ABOUT)
            assert file is not None
            self.assertEqual(file.lasting, lasting)
        for name in ("index.html", "a-1.js/", "../a-1.js", "A-1.js"):
            self.assertIsNone(self.files.get(name, ABOUT))

    def test_compressed(self) -> None:
        """What is large has a compressed form, the same each time."""
        large, small = self.files.get("a-1.js", ABOUT), self.files.get("b-2.svg", ABOUT)
        assert large is not None and small is not None and large.zipped is not None
        self.assertEqual(gzip.decompress(large.zipped), large.body)
        self.assertIsNone(small.zipped)


class ShippedTests(SynchronousTestCase):
    """The files in `nodetrust/page/assets`."""

    def setUp(self) -> None:
        self.files = PageFiles.load()
        file = self.files.get("", ABOUT)
        assert file is not None
        self.html = file.body.decode()
        self.names = set(re.findall(r'(?:href|src)="([^"#/]+)"', self.html))

    def test_whole(self) -> None:
        """Every file that the page names is there, by a name with a digest, and there is no other."""
        self.assertEqual(self.names, set(self.files._lasting))
        for name in self.names:
            self.assertRegex(name, r"-[0-9a-f]{12}\.(css|js|svg|txt)$")

    def test_no_third_party(self) -> None:
        """Nothing is asked of anybody else, nothing is inline that the policy forbids, and no place is left to fill."""
        self.assertNotIn("{{", self.html)
        self.assertNotRegex(self.html, r"(?i)<style|style=|\son\w+=|<script(?![^>]* src=)")
        self.assertEqual(re.findall(r"https?://[^\"' ]+", self.html), [])
        (style,) = [name for name in self.names if name.endswith(".css")]
        file = self.files.get(style, ABOUT)
        assert file is not None
        self.assertNotRegex(file.body.decode(), r"@import|url\(")

    def test_small(self) -> None:
        """A phone has it soon; no map of the sources is shipped."""
        every = [file for name in self.names if (file := self.files.get(name, ABOUT)) is not None]
        self.assertLess(sum(len(file.zipped or file.body) for file in every), MAX_ZIPPED_BYTES)
        self.assertFalse(any(b"sourceMappingURL" in file.body for file in every))

    def test_types(self) -> None:
        """Each has the type that a browser insists on."""
        for name in self.names:
            file = self.files.get(name, ABOUT)
            assert file is not None
            self.assertEqual(file.content_type, CONTENT_TYPES[name.rpartition(".")[2]])
