"""The least work that a certificate takes: the `acme` package's own messages and HTTP, and nothing around them.

    python -m benchmarks.issue_bare DIRECTORY ROOT_FILE DNS_PORT ORDERS NAMES THREADS POLL_SECONDS

Orders ORDERS certificates for NAMES names each, THREADS at a time with a connection each. A table in memory, in a
process of its own, answers the CA's DNS queries, over TCP on DNS_PORT, and nothing is written to a disk. With
POLL_SECONDS of 0 the package polls, as it does. The account is made before. Prints one line of JSON: `seconds` for all,
and those of `each`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import josepy
import requests
from acme import client as acme_client
from acme import messages
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_csr
from requests.adapters import HTTPAdapter

from nodetrust.certificates import make_csr, make_key
from nodetrust.messages import ECDSA_P256


class Records:
    """TXT records, in a process that answers the CA's queries for them over TCP."""

    def __init__(self, port: int) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._lock = threading.Lock()
        multiprocessing.Process(target=_answer_queries, args=(port, theirs), daemon=True).start()
        self._pipe.recv()

    def set(self, name: str, value: str) -> None:
        """Returns when it is there."""
        with self._lock:
            self._pipe.send((name, value))
            self._pipe.recv()


def _answer_queries(port: int, pipe: Connection) -> None:
    records: dict[str, str] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                query = dns.message.from_wire(await reader.readexactly(length))
                response = dns.message.make_response(query)
                response.flags |= dns.flags.AA
                asked = query.question[0]
                value = records.get(asked.name.to_text(omit_final_dot=True).lower())
                if asked.rdtype == dns.rdatatype.TXT and value is not None:
                    response.answer.append(dns.rrset.from_text(asked.name, 1, "IN", "TXT", value))
                packed = response.to_wire()
                writer.write(len(packed).to_bytes(2, "big") + packed)
        writer.close()

    def take() -> None:
        name, value = pipe.recv()
        records[name] = value
        pipe.send(True)

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024)
        asyncio.get_running_loop().add_reader(pipe.fileno(), take)
        pipe.send(True)
        await server.serve_forever()

    asyncio.run(serve())


class Bare:
    """A connection of its own to the CA."""

    def __init__(
        self, directory: str, root: str, key: josepy.JWK, records: Records, poll_seconds: float, account: Any = None
    ) -> None:
        net = acme_client.ClientNetwork(key, alg=josepy.ES256, verify_ssl=root, user_agent="nodetrust-benchmark")
        net.session = requests.Session()
        net.session.mount("https://", HTTPAdapter(pool_maxsize=1))
        document = messages.Directory.from_json(net.get(directory).json())
        self._acme = acme_client.ClientV2(document, net)
        self._records = records
        self._poll_seconds = poll_seconds
        if account is None:
            self._acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        else:
            net.account = account
        self.account = net.account

    def order(self, names: list[str]) -> float:
        """The seconds that a certificate for the names took."""
        key = make_key(ECDSA_P256)
        begin = time.perf_counter()
        order = self._acme.new_order(_pem(make_csr(key, names)))
        for authorization in order.authorizations:
            for challenge in authorization.body.challenges:
                if challenge.typ == "dns-01":
                    name = challenge.chall.validation_domain_name(authorization.body.identifier.value)
                    self._records.set(name, challenge.chall.validation(self._acme.net.key))
                    self._acme.answer_challenge(challenge, challenge.response(self._acme.net.key))
        if not self._poll_seconds:
            self._acme.poll_and_finalize(order)
            return time.perf_counter() - begin
        for authorization in order.authorizations:
            self._until(authorization.uri, lambda body: body["status"] == "valid")
        self._acme.begin_finalization(order)
        body = self._until(order.uri, lambda body: "certificate" in body)
        self._acme._post_as_get(body["certificate"])
        return time.perf_counter() - begin

    def _until(self, url: str, is_done: Callable[[Any], bool]) -> Any:
        while not is_done(body := self._acme._post_as_get(url).json()):
            if body["status"] == "invalid":
                raise RuntimeError(f"the CA made it invalid: {body}")
            time.sleep(self._poll_seconds)
        return body


def _pem(csr_der: bytes) -> bytes:

    return load_der_x509_csr(csr_der).public_bytes(Encoding.PEM)


def main() -> None:
    """Order, and print."""
    directory, root = sys.argv[1:3]
    port, orders, names, threads = map(int, sys.argv[3:7])
    poll_seconds = float(sys.argv[7])
    records = Records(port)
    key = josepy.JWKEC(key=josepy.ComparableECKey(ec.generate_private_key(ec.SECP256R1())))
    run = time.time_ns()
    first = Bare(directory, root, key, records, poll_seconds)
    free = [first, *(Bare(directory, root, key, records, poll_seconds, first.account) for _ in range(threads - 1))]

    def one(number: int) -> float:
        bare = free.pop()
        try:
            return bare.order([f"n{n}-{number}-{run}.nodetrust.test" for n in range(names)])
        finally:
            free.append(bare)

    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        each = list(pool.map(one, range(orders)))
    print(json.dumps({"seconds": time.perf_counter() - begin, "each": each}))


if __name__ == "__main__":
    main()
