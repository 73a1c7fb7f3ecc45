"""The root of nodetrust's own errors."""


class NodetrustError(Exception):
    """Anything that nodetrust itself refuses or gives up on; its text is fit to show to a person."""
