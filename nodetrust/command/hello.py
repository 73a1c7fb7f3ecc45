"""The message protocol of the demo: one text there, one back, each with its length in front.

It stands for what an application of yours would speak; the page speaks it with every peer that it finds.
"""

from __future__ import annotations

from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.message_stream import MessageStream

HELLO_PROTOCOL = "/p2p/nodetrust/demo/hello/1.0.0"

MAX_HELLO_BYTES = 1024

HELLO_SECONDS = 10.0
"""For the whole of a peer's text to come."""


def answer_hello(host: Host) -> None:
    """Have `host` answer whoever greets it."""

    async def respond(stream: MessageStream) -> None:
        heard = await stream.read()
        try:
            heard.decode()
        except UnicodeDecodeError:
            raise InvalidData("the greeting is not UTF-8") from None
        visitor = stream.connection.remote_peer
        stream.write(f"Hello {str(visitor)[-6:]}, this is {str(host.peer_id)[-6:]}. You reached me directly.".encode())

    host.handle_messages(HELLO_PROTOCOL, respond, MAX_HELLO_BYTES, HELLO_SECONDS)
