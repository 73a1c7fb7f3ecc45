"""Trial on every test but those against other people's programs, which have tox environments of their own.

`python -m tests [Trial's options] [names of tests, in place of all]`, in the checkout.
"""

import pkgutil
import sys

from twisted.scripts.trial import run

import tests

ELSEWHERE = {"tests.interop", "tests.dns_oracle"}

if __name__ == "__main__":
    if not any(argument.startswith("tests.") for argument in sys.argv[1:]):
        for found in pkgutil.iter_modules(tests.__path__, "tests."):
            if found.name not in ELSEWHERE and (found.ispkg or found.name.startswith("tests.test_")):
                sys.argv.append(found.name)
    run()
