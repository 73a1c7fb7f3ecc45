"""The page that the issue server shows: a browser as a libp2p peer, which finds the others and dials them.

Its sources are in the folder ``page`` of the checkout; ``assets`` has what ``python page/build.py`` makes of them.

In reading order:

* `files`: the page's files, and what is put into them for one server (pure but for reading them)
* `resource`: answers for them, for `twisted.web`
"""

from nodetrust.page.files import About, PageFiles
from nodetrust.page.resource import HEADERS, PageResource, answer

__all__ = ["HEADERS", "About", "PageFiles", "PageResource", "answer"]
