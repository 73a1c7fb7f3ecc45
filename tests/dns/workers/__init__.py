"""Tests of nodetrust.dns.workers."""
