"""HTTP that strangers reach: few connections, short lives, small requests.

* `leaf`: what all pages are
* `listener`: one address, with TLS, or without for a proxy in front that has it
* `hosts`: pages of two kinds on one listener
* `metrics`: those of a role, for Prometheus
"""
