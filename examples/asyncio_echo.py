"""The same for asyncio: a program that browsers can dial, which sends back what it is sent.

    python examples/asyncio_echo.py issuer=/dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW… state=nodetrust-state

Any setting of `twistd nodetrust-client` may be given like that.
"""

import asyncio
import contextlib
import sys

from nodetrust import AsyncioClient
from nodetrust.libp2p.errors import Libp2pError

ECHO = "/nodetrust/example/echo/1.0.0"


async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


async def greet(node, peer):
    reader, writer = await node.dial(peer, ECHO)
    writer.write(b"hello")
    writer.write_eof()
    print(f"{peer} sends back {await reader.read()!r}", flush=True)
    writer.close()


async def main(settings):
    async with AsyncioClient(**settings) as node:
        node.handle(ECHO, echo)
        async for heard in node.peers():
            with contextlib.suppress(Libp2pError, ConnectionError):
                await greet(node, heard.announcement.peer)


if __name__ == "__main__":
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(settings))
