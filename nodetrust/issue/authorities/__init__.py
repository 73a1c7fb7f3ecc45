"""The CAs, in order of preference."""
