"""Noise XX and libp2p's handshake in it: the published vectors, and what is refused."""

import contextlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import HandshakeError
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.libp2p.noise.machine import Credentials, Handshake, HandshakeState
from nodetrust.libp2p.noise.wire import MAX_HANDSHAKE_MESSAGE_BYTES, check_payload, encode_frame, sign_payload
from tests.libp2p.security_compliance import YAMUX, I, R

# The keys of flynn/noise vectors.txt, used in both vectors.
INITIATOR_STATIC = X25519PrivateKey.from_private_bytes(bytes(range(0x20)))
RESPONDER_STATIC = X25519PrivateKey.from_private_bytes(bytes(range(0x01, 0x21)))
INITIATOR_EPHEMERAL = X25519PrivateKey.from_private_bytes(bytes(range(0x20, 0x40)))
RESPONDER_EPHEMERAL = X25519PrivateKey.from_private_bytes(bytes(range(0x41, 0x61)))

MESSAGE_1 = "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254"
MESSAGE_2 = (
    "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484663414af878d3e46a2f58911a816d6e8346d4e"
    "a17a6f2a0bb4ef4ed56c133cff4560a34e36ea82109f26cf2e5a5caf992b608d55c747f615e5a3425a7a19eefb8f"
)
MESSAGE_3 = (
    "87f864c11ba449f46a0a4f4e2eacbb7b0457784f4fca1937f572c93603e9c4d97e5ea11b16f3968710b23a3be3202dc1b5e1"
    "ce3c963347491e74f5c0768a9b42"
)
YELLOWSUBMARINE = "a52ef02ba60e12696d1d6b9ef4245c88fca757b6134ad6e76b56e310a6adf6"
SUBMARINEYELLOW = "2445aa438ebd649281c636cc7269ca82f1d9023d72520943aeabf909cdf521"
PAYLOAD_R = (
    "0a24080112208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c12406878c5184ddcbb4a3f3f"
    "ea920611fedc94d21c241b71b736d1e9e3320b27f3d54822693cba61a20dd239355e15ecd534db576a8e577f7e0605d5517e"
    "e3716c03220e120c2f79616d75782f312e302e30"
)
PAYLOAD_I = (
    "0a24080112208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3941240c5a38f4314604bb3d119"
    "1d3aef000d8655538dba76cfe93131d6e9091cc767e38e41ba5d75a1fa7273bac434637ffd2d56301aab93ab2401ec8331db"
    "f658430b220e120c2f79616d75782f312e302e30"
)
FRAME_1 = "0020358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254"
FRAME_2 = (
    "00d864b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484663414af878d3e46a2f58911a816d6e834"
    "6d4ea17a6f2a0bb4ef4ed56c133cff4560a34e36ea82109f26cf2e5a5caf992b8b4dc7d75b05c32ad7205c3584baae0f7390"
    "d824506d958aa090fa49dec6dbedf55320dd2b4f87e83f6bf1690075728b503c019ff4e7b387559e12786862835ae77a8e63"
    "b90b2d7209584613b983e12afa8090f0faff9c4229361a049839c461b2920de98cbd675294216610cafd32b1ac73bf9b8373"
    "16a69eced3f270b780f7af3f9886ac117718"
)
FRAME_3 = (
    "00b887f864c11ba449f46a0a4f4e2eacbb7b0457784f4fca1937f572c93603e9c4d9a55f34d4f04ede5dff5de2b4e4615b91"
    "02320cd7b9b4e6150730ca434bcdf1434837f861e3c7ce2597ad3cc415f2d7137f1876840d8f5ce1bbf42a5917603b79ef28"
    "acfe2d9d818cebd93dcb9a82de35ad5e5c6178ad1f262097512ef94cb6cfd36e495ab0c966927edbf9bbee6ccd24aec4aaaf"
    "3ef827868cbc9debef6fdb1c510dfc961b06f8a784184039e09f9aca2c519a3b2b0e9c68"
)
KEY_FROM_RESPONDER = bytes.fromhex("a8b5dce3cef845d63c9671c350eb15cbb50b6c6d5f0d3231d32d711dab1ed191")
HANDSHAKE_HASH = "26c36b78d076c4777230e3b9efd17e1c4275146823bfc0c49147a9a34e84499b"
FIRST_FRAME = "001cdc4a9c46c979611d0f700aec9c288cb51aed38473d43889f84b4956e"


class HandshakeStateTests(SynchronousTestCase):
    def test_published_vector(self):
        """flynn/noise: Noise_XX_25519_ChaChaPoly_SHA256 without payloads, and one message each way."""
        initiator = HandshakeState(True, INITIATOR_STATIC, INITIATOR_EPHEMERAL)
        responder = HandshakeState(False, RESPONDER_STATIC, RESPONDER_EPHEMERAL)
        for writer, reader, message in (
            (initiator, responder, MESSAGE_1),
            (responder, initiator, MESSAGE_2),
            (initiator, responder, MESSAGE_3),
        ):
            self.assertFalse(reader.finished)
            self.assertEqual(writer.write_message(b"").hex(), message)
            self.assertEqual(reader.read_message(bytes.fromhex(message)), b"")
        self.assertTrue(initiator.finished and responder.finished)
        to_responder, from_responder = initiator.split()
        to_initiator, from_initiator = responder.split()
        self.assertEqual(to_responder.encrypt(b"yellowsubmarine").hex(), YELLOWSUBMARINE)
        self.assertEqual(from_initiator.decrypt(bytes.fromhex(YELLOWSUBMARINE)), b"yellowsubmarine")
        self.assertEqual(to_initiator.encrypt(b"submarineyellow").hex(), SUBMARINEYELLOW)
        self.assertEqual(from_responder.decrypt(bytes.fromhex(SUBMARINEYELLOW)), b"submarineyellow")

    def test_low_order_keys(self):
        """An ephemeral key with which the secret is zero, whatever ours, is refused."""
        for public in (bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"):
            responder = HandshakeState(False, RESPONDER_STATIC, RESPONDER_EPHEMERAL)
            responder.read_message(public)
            with self.assertRaises(HandshakeError):
                responder.write_message(b"")


class HandshakeTests(SynchronousTestCase):
    def setUp(self):
        self.initiator = Handshake(True, Credentials(I, INITIATOR_STATIC, (YAMUX,)), INITIATOR_EPHEMERAL, R.peer_id)
        self.responder = Handshake(False, Credentials(R, RESPONDER_STATIC, (YAMUX,)), RESPONDER_EPHEMERAL)

    def test_published_vector(self):
        """The bytes, keys and hash of a whole libp2p handshake between the identities I and R."""
        for writer, reader, frame in (
            (self.initiator, self.responder, FRAME_1),
            (self.responder, self.initiator, FRAME_2),
            (self.initiator, self.responder, FRAME_3),
        ):
            self.assertEqual(writer.data_to_send().hex(), frame)
            reader.receive_data(bytes.fromhex(frame))
        self.assertEqual(self.initiator.handshake_hash.hex(), HANDSHAKE_HASH)
        self.assertEqual(self.responder.handshake_hash.hex(), HANDSHAKE_HASH)
        at_initiator, at_responder = self.initiator.outcome, self.responder.outcome
        self.assertEqual((at_initiator.remote_key, at_initiator.muxer), (R.public_key, YAMUX))
        self.assertEqual((at_responder.remote_key, at_responder.muxer), (I.public_key, YAMUX))
        syn = bytes.fromhex("000100010000000100000000")
        self.assertEqual(encode_frame(at_initiator.send.encrypt(syn)).hex(), FIRST_FRAME)
        self.assertEqual(at_responder.receive.decrypt(bytes.fromhex(FIRST_FRAME)[2:]), syn)
        first_nonce = bytes(12)
        self.assertEqual(
            at_responder.send.encrypt(b"x"), ChaCha20Poly1305(KEY_FROM_RESPONDER).encrypt(first_nonce, b"x", None)
        )

    def test_published_payloads(self):
        """The payloads inside that handshake, made and checked."""
        for key, static, payload in ((R, RESPONDER_STATIC, PAYLOAD_R), (I, INITIATOR_STATIC, PAYLOAD_I)):
            public = static.public_key().public_bytes_raw()
            self.assertEqual(sign_payload(key, public, [YAMUX]).hex(), payload)
            checked = check_payload(bytes.fromhex(payload), public)
            self.assertEqual((checked.identity_key, checked.muxers), (key.public_key, (YAMUX,)))

    def test_unread_bytes(self):
        """What arrives behind the last message is not the handshake's."""
        self.responder.receive_data(self.initiator.data_to_send())
        self.initiator.receive_data(self.responder.data_to_send() + b"behind")
        self.assertEqual(self.initiator.outcome.unread, b"behind")

    def test_tells_a_wrong_peer_nothing(self):
        """An initiator that finds another peer than it expects does not reveal its own identity."""
        dialer = Handshake(True, Credentials(I, INITIATOR_STATIC, ()), INITIATOR_EPHEMERAL, I.peer_id)
        self.responder.receive_data(dialer.data_to_send())
        with self.assertRaisesRegex(HandshakeError, str(R.peer_id)):
            dialer.receive_data(self.responder.data_to_send())
        self.assertEqual(dialer.data_to_send(), b"")

    def test_payload_in_the_first_message(self):
        """Whatever somebody puts into message 1 is read over."""
        noise = HandshakeState(True, INITIATOR_STATIC, INITIATOR_EPHEMERAL)
        self.responder.receive_data(encode_frame(noise.write_message(b"early data")))
        message = self.responder.data_to_send()[2:]
        self.assertEqual(noise.read_message(message), bytes.fromhex(PAYLOAD_R))

    def test_too_long(self):
        """A handshake message is refused by its length, before it has arrived."""
        with self.assertRaises(HandshakeError):
            self.responder.receive_data((MAX_HANDSHAKE_MESSAGE_BYTES + 1).to_bytes(2, "big"))

    def test_no_muxer_in_common(self):
        """Two sides that name muxers and share none can't go on: multistream-select would not help them either."""
        dialer = Handshake(True, Credentials(I, INITIATOR_STATIC, ("/other",)), INITIATOR_EPHEMERAL)
        self.responder.receive_data(dialer.data_to_send())
        with self.assertRaises(HandshakeError):
            dialer.receive_data(self.responder.data_to_send())

    @given(st.lists(st.binary(max_size=400)), st.booleans())
    def test_garbage(self, pieces, initiator):
        """Any bytes are refused with a HandshakeError or waited with; never an outcome."""
        self.setUp()
        machine = self.initiator if initiator else self.responder
        with contextlib.suppress(HandshakeError):
            for piece in pieces:
                machine.receive_data(encode_frame(piece))
        self.assertIsNone(machine.outcome)


class PayloadTests(SynchronousTestCase):
    static = RESPONDER_STATIC.public_key().public_bytes_raw()

    def test_signature_must_be_the_identity_keys(self):
        """A signature by another key, over another static key, over nothing, or missing, proves nothing."""
        genuine = sign_payload(R, self.static, ())
        with self.assertRaises(HandshakeError):
            check_payload(genuine, INITIATOR_STATIC.public_key().public_bytes_raw())
        by_another = genuine.replace(R.public_key.to_protobuf(), I.public_key.to_protobuf())
        without = genuine[: 2 + len(R.public_key.to_protobuf())]
        bare = genuine.replace(R.sign(b"noise-libp2p-static-key:" + self.static), R.sign(self.static))
        for forged in (by_another, without, bare, b""):
            with self.assertRaises(HandshakeError):
                check_payload(forged, self.static)

    def test_an_endless_list_of_muxers_counts_as_none(self):
        """As in go-libp2p, a list of more than a hundred is ignored."""
        self.assertEqual(len(check_payload(sign_payload(R, self.static, ["/m"] * 100), self.static).muxers), 100)
        self.assertEqual(check_payload(sign_payload(R, self.static, ["/m"] * 101), self.static).muxers, ())

    def test_largest_key(self):
        """The payload of an RSA-4096 identity takes less than half of what a message may be."""
        payload = sign_payload(PrivateKey.generate(KeyType.RSA, rsa_bits=4096), self.static, ["/" + "m" * 50] * 20)
        self.assertLess(len(payload), MAX_HANDSHAKE_MESSAGE_BYTES / 2)

    @given(st.binary())
    def test_garbage(self, data):
        """Bytes that are no payload are refused."""
        with self.assertRaises(HandshakeError):
            check_payload(data, self.static)
