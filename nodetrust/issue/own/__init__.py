"""The issue server's own name: its certificate, from its own orders, and WSS and HTTPS served with it.

In reading order:

* `orders`: where its certificate comes from
* `health`: how the server is, in numbers, for whoever watches it
* `pages`: what the HTTPS listener answers, and its limits; under other names it may have an AutoTLS broker
* `service`: all of it together
"""
