"""The page in a real browser: Debian's Chromium, without a window, driven over the DevTools protocol.

Read in this order: `chromium` (where it comes from, and a HOME in which it trusts a root), `devtools` (a browser that
does what it is told), `test_page` (the page beside a deployment), `test_demo` (what `nodetrust demo --browser` opens).

`python -m tests.browser.chromium` says what is missing, and as root in CI (or with `--install`) installs it.
Screenshots go to `build/browser`.
"""
