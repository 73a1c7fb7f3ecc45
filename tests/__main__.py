"""Trial on every test but those that have tox environments of their own.

Those are against other people's programs, or let months pass, which measuring the coverage would make twice as long.

`python -m tests [Trial's options] [names of tests, in place of all]`, in the checkout.
"""

import pkgutil
import sys

from twisted.scripts.trial import run

import tests

ELSEWHERE = {"tests.browser", "tests.dns_oracle", "tests.interop", "tests.kubo", "tests.simulation"}

if __name__ == "__main__":
    if not any(argument.startswith("tests.") for argument in sys.argv[1:]):
        for found in pkgutil.iter_modules(tests.__path__, "tests."):
            if found.name not in ELSEWHERE and (found.ispkg or found.name.startswith("tests.test_")):
                sys.argv.append(found.name)
    run()
