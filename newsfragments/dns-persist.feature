The DNS server answers `_validation-persist` (`persist`), with which a CA needs no challenges (dns-persist-01).
