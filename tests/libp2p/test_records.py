"""Signed envelopes and peer records: the vector that js-libp2p takes, and forgeries."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidRecord
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import envelope_pb2, peer_record_pb2
from nodetrust.libp2p.records import (
    MAX_ENVELOPE_BYTES,
    PEER_RECORD_DOMAIN,
    PEER_RECORD_TYPE,
    open_envelope,
    open_peer_record,
    seal,
    seal_peer_record,
)

KEY = PrivateKey.from_seed(b"\2" * 32)
OTHER = PrivateKey.from_seed(b"\1" * 32)
ADDRESS = Multiaddr.parse("/ip4/1.2.3.4/tcp/4001")

# js-libp2p opens and certifies it
SEALED = bytes.fromhex(
    "0a24080112208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394120203011a360a260024080112208139770e"
    "a87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39410011a0a0a080401020304060fa12a402d5f53974564aa619a1a9d23"
    "84d1b59b0bd79a33de53d34eb664f425316611e4d827fd1218ab0112a7110be66c17e628f4ef63b398837c1f622cc78b31e0f503"
)


class PeerRecordTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The vector is written and read to the byte."""
        self.assertEqual(seal_peer_record(KEY, 1, [ADDRESS]), SEALED)
        record = open_peer_record(SEALED)
        self.assertEqual((record.peer_id, record.seq, record.addresses), (KEY.peer_id, 1, (ADDRESS,)))

    def test_every_bit_counts(self) -> None:
        """No changed byte of an envelope goes unnoticed."""
        for position in range(len(SEALED)):
            forged = bytearray(SEALED)
            forged[position] ^= 1
            self.assertRaises(InvalidRecord, open_peer_record, bytes(forged))

    def test_record_of_somebody_else(self) -> None:
        """A peer can not sign another's record (RUSTSEC-2022-0009)."""
        payload = peer_record_pb2.PeerRecord(peer_id=KEY.peer_id.multihash, seq=1).SerializeToString()
        forged = seal(OTHER, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, payload)
        self.assertIn(str(OTHER.peer_id), str(self.assertRaises(InvalidRecord, open_peer_record, forged)))

    def test_other_domain_or_type(self) -> None:
        """A signature counts in its domain alone, and the type must be a peer record's."""
        payload = envelope_pb2.Envelope.FromString(SEALED).payload
        for domain, kind in (("libp2p-routing-state", PEER_RECORD_TYPE), (PEER_RECORD_DOMAIN, b"\x03\x02")):
            self.assertRaises(InvalidRecord, open_peer_record, seal(KEY, domain, kind, payload))
        self.assertEqual(open_envelope(SEALED, PEER_RECORD_DOMAIN).payload, payload)

    def test_unreadable_address(self) -> None:
        """An address in a protocol that we do not know is left out; the others stay."""
        record = peer_record_pb2.PeerRecord(peer_id=KEY.peer_id.multihash, seq=7)
        for data in (b"\x07", bytes(ADDRESS), b""):
            record.addresses.add(multiaddr=data)
        sealed = seal(KEY, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, record.SerializeToString())
        self.assertEqual(open_peer_record(sealed).addresses, (ADDRESS,))

    def test_garbage(self) -> None:
        """Bytes that are nothing, or too many, are InvalidRecord; so is a signed payload that is no record."""
        for data in (b"", b"\0", b"garbage", SEALED[:-1], SEALED[:10], bytes(MAX_ENVELOPE_BYTES + 1)):
            self.assertRaises(InvalidRecord, open_peer_record, data)
        for payload in (b"\xff", b""):
            sealed = seal(KEY, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, payload)
            self.assertRaises(InvalidRecord, open_peer_record, sealed)
