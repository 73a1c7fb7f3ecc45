Quotas for peers, addresses and prefixes, and a mirror of the CA's own limits, with a share for renewals alone; docs/quotas.md tells which to choose.
