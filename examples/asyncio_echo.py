"""The same for asyncio: a program that browsers can dial, which sends back whatever it is sent.

    python examples/asyncio_echo.py /dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW…
"""

import asyncio
import sys

from nodetrust import AsyncioClient

ECHO = "/nodetrust/example/echo/1.0.0"


async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


async def main(issuer):
    async with AsyncioClient(issuer=issuer, state="nodetrust-state") as node:
        node.handle(ECHO, echo)
        obtained = await node.certificate()
        print(f"certified until {obtained.chain.not_after:%Y-%m-%d}", flush=True)
        await asyncio.Event().wait()  # until Ctrl-C


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1:]))
    except KeyboardInterrupt:
        pass
