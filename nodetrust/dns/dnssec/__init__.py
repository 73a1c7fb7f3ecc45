"""DNSSEC: answers are signed while they are asked for (RFC 4033, 4034, 4035, 6605, 6840, 7344, 9824).

The zone cannot be signed ahead: its names are made up from what is asked. So each answer is signed with a key that the
server holds, and what is missing is denied with one record made for the very name that was asked about (compact denial
of existence), which needs neither the names beside it nor wildcards. Without a key nothing of this is used, and a query
without the DO bit is never signed.

In reading order:

* `records`: the wire forms of DNSKEY, DS and what refers to them (pure)
* `keys`: ECDSA P-256 keys and their files
* `canonical`: record sets in the form in which they are signed (pure)
* `cache`: what was signed already, bounded
* `sign`: `Signer`, which makes and remembers signatures
* `denial`: NSEC records that deny one name or its other types (pure)
* `secure`: from the answer to the signed answer
* `apex`: a zone with the records that publish its keys (pure)

https://www.rfc-editor.org/rfc/rfc4035, https://www.rfc-editor.org/rfc/rfc9824
"""
