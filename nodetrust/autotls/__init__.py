"""`twistd nodetrust-autotls`: the AutoTLS broker (`nodetrust.broker`) with host, store and certificate of its own.

In reading order:

* `settings`: what an operator may say
* `own`: the certificate for HTTPS
* `service`, `options`: the role
"""
