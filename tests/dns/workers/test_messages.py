"""What goes between parent and worker arrives as it was."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.table import Challenge
from nodetrust.dns.dnssec.apex import with_keys
from nodetrust.dns.dnssec.keys import generate
from nodetrust.dns.workers.messages import (
    MAX_BYTES,
    AddChallenge,
    Counted,
    Done,
    ListsImage,
    Numbered,
    RemoveChallenge,
    ReplaceLists,
    ReplaceZone,
    Start,
    Stop,
    decode_order,
    decode_report,
    encode,
    lists_image,
    zone_from_image,
    zone_image,
)
from nodetrust.libp2p.framing import FrameDecoder
from nodetrust.lists.lists import NO_LISTS
from tests.dns.example import authority

CHALLENGE = Challenge((b"ip41-2-3-4", b"nt", b"test"), b"v" * 43)


class MessagesTests(SynchronousTestCase):
    """The codec."""

    def test_round_trip(self) -> None:
        """Every order and report comes back, whatever the pieces it arrives in."""
        zone = authority().zone
        image = zone_image(zone)
        start = Start(b"settings", image, [(CHALLENGE, 1.5)], ["127.0.0.1:53"], 3, bytes(32), lists_image(NO_LISTS))
        lists = ReplaceLists(ListsImage([(bytes(4), 8)], [(bytes(16), 128)]))
        orders = (start, AddChallenge(CHALLENGE), RemoveChallenge(CHALLENGE), ReplaceZone(image), lists, Stop())
        sent = [Numbered(number, order) for number, order in enumerate(orders)]
        frames = FrameDecoder(MAX_BYTES)
        data = b"".join(map(encode, sent))
        got = [decode_order(one) for at in range(0, len(data), 7) for one in frames.receive_data(data[at : at + 7])]
        self.assertEqual(got, sent)
        self.assertEqual(zone_from_image(image), zone)
        for report in (Done(7), Counted({"answered": 5})):
            (message,) = FrameDecoder(100).receive_data(encode(report))
            self.assertEqual(decode_report(message), report)

    def test_signed_zone(self) -> None:
        """The keys go with the zone, since a worker may not be able to read their files."""
        zone = with_keys(authority().zone, [generate(), generate()])
        copy = zone_from_image(zone_image(zone))
        assert zone.signer is not None and copy.signer is not None
        self.assertEqual(copy.nodes, zone.nodes)
        self.assertEqual([key.dnskey for key in copy.signer.keys], [key.dnskey for key in zone.signer.keys])
