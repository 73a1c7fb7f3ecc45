"""The tests. In CI Hypothesis tries the same examples every time; elsewhere it looks for new ones."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None, report_multiple_bugs=False)
settings.register_profile("developer", deadline=None, report_multiple_bugs=False)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "developer")
