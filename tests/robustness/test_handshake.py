"""Garbage while a connection is negotiated and secured, at the peer that listens."""

import os
import socket
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from nodetrust.libp2p import varint
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multistream.wire import encode_message
from nodetrust.libp2p.noise.machine import Credentials, HandshakeState
from nodetrust.libp2p.noise.wire import MAX_HANDSHAKE_MESSAGE_BYTES, encode_frame
from nodetrust.libp2p.tls.certificate import make_certificate
from tests.robustness.attacker import (
    FAREWELL,
    MUXER,
    NOISE,
    TLS,
    Attacker,
    NoiseAttacker,
    client_hello,
    negotiated,
    proposal,
)
from tests.robustness.site import SiteCase

LIBP2P_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
LOW_ORDER = (
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)


class MultistreamTests(SiteCase):
    async def test_garbage(self) -> None:
        """Every kind of message that is none, and every number of honest ones, ends in the server hanging up."""
        newline_missing = varint.encode(20) + bytes(range(65, 85))
        attacks = [
            varint.encode(1 << 62) + bytes(2000),
            b"\xff" * 5000,
            b"\x80" * 5000,
            varint.encode(1025) + bytes(1025),
            b"\0" * 5000,
            newline_missing,
            proposal() + newline_missing,
            proposal() + varint.encode(3) + b"\xff\xfe\n",
            proposal(*["ls"] * 10_000),
            proposal(*["/multistream/1.0.0"] * 10_000),
            proposal(*(f"/none/{number}" for number in range(10_000))),
            encode_message("/multistream/2.0.0") * 100,
            proposal(MUXER) * 100,
        ]

        def attack() -> None:
            for place in self.tcp:
                for garbage in attacks:
                    with Attacker(place) as attacker:
                        attacker.send(garbage)
                        self.assertLess(len(attacker.read_to_end()), 1024)
                    self.barrier()

        await self.attack(attack)


class NoiseTests(SiteCase):
    async def test_garbage_messages(self) -> None:
        """Garbage in place of the first or the third message ends the connection."""
        place = self.tcp[1]
        frames = st.one_of(
            st.binary(min_size=1, max_size=400).map(encode_frame),
            st.binary(min_size=1, max_size=400).map(lambda body: encode_frame(body) * 20),
            st.sampled_from(
                [*LOW_ORDER, bytes(31), os.urandom(32) + bytes(100), bytes(MAX_HANDSHAKE_MESSAGE_BYTES)]
            ).map(encode_frame),
            st.sampled_from([b"\xff\xff" + bytes(70000), b"\x20\x01" + bytes(0x2001), b"\0\0" * 3000]),
        )

        @settings(max_examples=60, deadline=None)
        @given(st.booleans(), frames, st.booleans())
        def attack(first_is_good, garbage, with_proposal):
            with Attacker(place) as attacker:
                honest = (
                    encode_frame(X25519PrivateKey.generate().public_key().public_bytes_raw()) if first_is_good else b""
                )
                if with_proposal:
                    attacker.send(proposal(NOISE) + honest + garbage)
                else:
                    negotiated(attacker, NOISE)
                    attacker.send(honest)
                    attacker.send(garbage)
                attacker.finish()
                attacker.read_to_end()
            self.barrier()

        await self.attack(attack)

    async def test_garbage_payloads(self) -> None:
        """A genuine third message whose payload is not an identity ends the connection, whatever it says."""
        key = PrivateKey.generate()

        @settings(max_examples=60, deadline=None)
        @given(st.one_of(st.binary(max_size=300), st.integers(0, 400)), st.integers(1, 255))
        def attack(garbage, change):
            with Attacker(self.tcp[2]) as attacker:
                static = X25519PrivateKey.generate()
                noise = HandshakeState(True, static, X25519PrivateKey.generate())
                unread = negotiated(attacker, NOISE)
                attacker.send(encode_frame(noise.write_message(b"")))
                while len(unread) < 2 or len(unread) < 2 + int.from_bytes(unread[:2], "big"):
                    unread += attacker.receive()
                noise.read_message(unread[2:])
                if isinstance(garbage, int):
                    good = bytearray(Credentials(key, static, (MUXER,)).payload)
                    good[garbage % (len(good) - 16)] ^= change
                    garbage = bytes(good)
                attacker.send(encode_frame(noise.write_message(garbage)))
                attacker.finish()
                attacker.read_to_end()
            self.barrier()

        await self.attack(attack)

    async def test_forged_frames(self) -> None:
        """After the handshake a frame that is not genuine ends the connection at once."""

        @settings(max_examples=40, deadline=None)
        @given(st.sampled_from(self.tcp), st.binary(max_size=200), st.integers(0, 3))
        def attack(place, body, honest):
            with NoiseAttacker(place) as attacker:
                for _ in range(honest):
                    self.assertTrue(attacker.survives())
                attacker.send(encode_frame(body))
                attacker.read_to_end()
            self.barrier()

        await self.attack(attack)


def foreign_certificate(key, extension: bytes | None, days: int = 30, host: str = "x") -> bytes:
    """A self-signed certificate, with the bytes given in libp2p's extension."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
    )
    if extension is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(LIBP2P_EXTENSION, extension), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pem = builder.sign(key, algorithm).public_bytes(Encoding.PEM)
    return pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class TlsTests(SiteCase):
    def client(self, certificate: bytes | None, protocols: list[str] | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if protocols is not None:
            context.set_alpn_protocols(protocols)
        if certificate is not None:
            path = self.mktemp()
            with open(path, "wb") as file:
                file.write(certificate)
            context.load_cert_chain(path)
        return context

    async def test_foreign_certificates(self) -> None:
        """Certificates that are not libp2p's, none, and ALPN that nobody knows: refused, and the connection closed."""
        p256 = ec.generate_private_key(ec.SECP256R1())
        good = make_certificate(PrivateKey.generate(), 1e9)
        contexts = [
            self.client(None, [MUXER]),
            self.client(None, None),
            self.client(foreign_certificate(p256, None), [MUXER]),
            self.client(foreign_certificate(p256, b""), [MUXER]),
            self.client(foreign_certificate(p256, os.urandom(100)), ["libp2p"]),
            self.client(foreign_certificate(p256, b"\x30\x84\xff\xff\xff\xff" + bytes(500)), None),
            self.client(foreign_certificate(p256, b"\x30" * 5000), [MUXER]),
            self.client(foreign_certificate(p256, None, days=-1), [MUXER]),
            self.client(foreign_certificate(rsa.generate_private_key(65537, 2048), os.urandom(50)), [MUXER]),
            self.client(foreign_certificate(ed25519.Ed25519PrivateKey.generate(), b"\5\0"), [MUXER]),
            self.client(foreign_certificate(p256, None), ["h2", "http/1.1"]),
        ]
        del good

        def attack() -> None:
            for place in self.tcp:
                for context in contexts:
                    with Attacker(place) as attacker:
                        negotiated(attacker, TLS)
                        try:
                            secured = context.wrap_socket(attacker.socket, suppress_ragged_eofs=True)
                        except (ssl.SSLError, ConnectionError):
                            continue
                        with secured:
                            try:
                                while secured.recv(4096):
                                    pass
                            except (ssl.SSLError, ConnectionError):
                                pass
                    self.barrier()

        await self.attack(attack)

    async def test_garbage(self) -> None:
        """Damaged handshake records, and garbage in their place, end the connection."""
        good = client_hello()

        @settings(max_examples=80, deadline=None)
        @given(
            st.booleans(),
            st.one_of(
                st.binary(min_size=1, max_size=300),
                st.tuples(st.integers(0, 2000), st.integers(1, 255)),
                st.integers(0, 2000).map(lambda size: -size - 1),
            ),
        )
        def attack(libp2p, garbage):
            if isinstance(garbage, tuple):
                damaged = bytearray(good)
                damaged[garbage[0] % len(good)] ^= garbage[1]
                garbage = bytes(damaged)
            elif isinstance(garbage, int):
                garbage = good[: -garbage % len(good)]
            with Attacker(self.tcp[0] if libp2p else self.wss) as attacker:
                if libp2p:
                    attacker.send(proposal(TLS))
                attacker.send(garbage)
                attacker.finish()
                attacker.read_to_end()
            self.barrier()

        await self.attack(attack)

    async def test_farewell(self) -> None:
        """Who says goodbye in place of the first record, or of the second, is let go."""
        hello = client_hello()

        def attack() -> None:
            for place, opening in ((self.tcp[0], proposal(TLS)), (self.wss, b"")):
                for data in (FAREWELL, hello + FAREWELL):
                    with Attacker(place) as attacker:
                        attacker.send(opening + data)
                        attacker.read_to_end()
                    self.barrier()

        await self.attack(attack)


class EarlyCloseTests(SiteCase):
    async def test_every_byte(self) -> None:
        """A connection that ends after any number of its bytes, with a FIN or a RST or half-closed, leaves nothing."""

        class Cut(Exception):
            """As many bytes as were wanted have been sent."""

        def run(place, budget: int, ending: str) -> int:
            """Walk through an honest connection until `budget` bytes are sent; returns how many there were."""
            sent = 0
            whole = socket.socket.sendall

            class CutSocket(socket.socket):
                def sendall(self, data: bytes) -> None:  # type: ignore[override]
                    nonlocal sent
                    left = budget - sent
                    whole(self, data[:left])
                    sent += min(len(data), left)
                    if len(data) >= left:
                        raise Cut

            class CutAttacker(NoiseAttacker):
                def send(self, data: bytes) -> None:
                    if not isinstance(self.socket, CutSocket):
                        plain = self.socket
                        self.socket = CutSocket(fileno=plain.detach())
                        self.socket.settimeout(5)
                        nonlocal held
                        held = self
                    super().send(data)

            held: Attacker | None = None
            try:
                attacker = CutAttacker(place)
                attacker.send_plain(attacker.stream(1, proposal("/ipfs/ping/1.0.0"), os.urandom(32)))
                attacker.survives()
                attacker.send_plain(attacker.stream(3, proposal("/ipfs/id/1.0.0")))
                attacker.survives()
            except Cut:
                pass
            assert held is not None
            if ending == "reset":
                held.reset()
            elif ending == "finish":
                held.finish()
                held.read_to_end()
            held.close()
            return sent

        def attack() -> None:
            # Where the server is slow its pings are sent again.
            total = min(run(self.tcp[1], 1 << 20, "close") for _ in range(3))
            self.assertGreater(total, 400)
            for budget in range(1, total, 7):
                for ending in ("close", "reset", "finish"):
                    self.assertEqual(budget, run(self.tcp[1], budget, ending))
            self.barrier()

        await self.attack(attack)
