"""Tests of nodetrust.dns."""
