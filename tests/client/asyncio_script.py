"""What `test_on_asyncio` runs: a hook and two hosts on asyncio's loop, and one line for each thing that is well."""

import asyncio
import logging
from tempfile import TemporaryDirectory

from twisted.internet.defer import Deferred

from nodetrust.client.hook import Hook
from nodetrust.client.on_asyncio import (
    AsyncioClient,
    StreamWriter,
    WrongReactor,
    reactor_on,
    reader_and_writer,
    speaking,
)
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

SECONDS = 30
TCP = "/ip4/127.0.0.1/tcp/0"
NOBODY = f"/ip4/127.0.0.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"
MUCH = 8 * 1024 * 1024


async def in_time(what):
    return await asyncio.wait_for(what, SECONDS)


async def hook(reactor):
    """Its end is noticed though Twisted does not hear of SIGCHLD, and though what it has started holds its output."""
    hook = Hook(reactor, "sleep 20 &")
    hook.run({})
    while hook._process is not None:
        await asyncio.sleep(0.02)


async def watch(issuer):
    """Who watches the peers beside the client's own task is not left waiting when the client ends."""

    async def all_peers(node):
        return [heard async for heard in node.peers()]

    with TemporaryDirectory() as state:
        settings = {"issuer": issuer, "state": state, "map_ports": False, "listen": TCP, "wss_listen": f"{TCP}/tls/ws"}
        async with AsyncioClient(**settings) as node:
            watching = asyncio.ensure_future(all_peers(node))
            await asyncio.sleep(0)
        assert await in_time(watching) == []
        assert await in_time(all_peers(node)) == []


async def early(dial):
    """What is handled before the client begins is spoken when it has begun; for all else it is too early."""

    async def shout(reader, writer):
        writer.write((await reader.read()).upper())

    with TemporaryDirectory() as state:
        node = AsyncioClient(issuer=NOBODY, state=state, map_ports=False, listen=TCP, wss_listen=f"{TCP}/tls/ws")
        node.handle("/shout", shout)
        try:
            await in_time(node.announced())
        except RuntimeError as reason:
            assert "async with" in str(reason)
        else:
            raise AssertionError("there was no client yet")
        async with node:
            plain = node.client.host.addresses()[0].with_peer_id(node.client.peer_id)
            reader, writer = await dial(plain, "/shout")
            writer.write(b"hello")
            writer.write_eof()
            assert await in_time(reader.read()) == b"HELLO"


async def main():
    loop = asyncio.get_running_loop()
    reactor = reactor_on(loop)

    def future(coroutine):
        return Deferred.fromCoroutine(coroutine).asFuture(loop)

    listener, dialer = Host(reactor, PrivateKey.generate()), Host(reactor, PrivateKey.generate())
    released = asyncio.Event()

    async def echo(reader, writer: StreamWriter):
        assert writer.peer == dialer.peer_id
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()

    async def slow(reader, writer):
        await released.wait()
        read = 0
        while data := await reader.read(65536):
            read += len(data)
        writer.write(str(read).encode())

    async def bug(reader, writer):
        raise ZeroDivisionError

    for name, speak in (("echo", echo), ("slow", slow), ("bug", bug)):
        listener.handle(f"/{name}", speaking(speak))
    address = await future(listener.listen(Multiaddr.parse(TCP)))
    connection = await future(dialer.connect([address]))

    async def open_stream(name):
        return reader_and_writer(await future(connection.open_stream([f"/{name}"])))

    reader, writer = await open_stream("echo")
    writer.write(b"hello")
    assert await in_time(reader.readexactly(5)) == b"hello"
    print("echo")

    writer.write(b"again")
    writer.write_eof()
    assert await in_time(reader.read()) == b"again"
    await in_time(writer.wait_closed())
    print("end")

    reader, writer = await open_stream("bug")
    try:
        await in_time(reader.read())
    except ConnectionResetError:
        print("reset")

    reader, writer = await open_stream("slow")
    sent = 0
    try:
        while sent < MUCH:
            writer.write(bytes(65536))
            sent += 65536
            await asyncio.wait_for(writer.drain(), 0.5)
    except TimeoutError:
        released.set()
    while sent < MUCH:
        writer.write(bytes(65536))
        sent += 65536
        await in_time(writer.drain())
    writer.write_eof()
    assert int(await in_time(reader.read())) == MUCH
    if released.is_set():
        print("slow")

    if len(errors) == 1 and "ZeroDivisionError" in str(errors[0]["exception"].__class__):
        print("bug")
    await in_time(hook(reactor))
    print("hook")

    await watch(address.with_peer_id(listener.peer_id))
    print("watch")

    async def dial(address, protocol):
        connection = await future(dialer.connect([address]))
        return reader_and_writer(await future(connection.open_stream([protocol])))

    await early(dial)
    print("early")

    await listener.stop().asFuture(loop)
    await dialer.stop().asFuture(loop)


errors = []


async def run():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    await main()


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(run())
    try:
        asyncio.run(main())
    except WrongReactor as reason:
        assert "only one" in str(reason)
        print("one")
