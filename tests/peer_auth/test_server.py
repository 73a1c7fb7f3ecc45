"""The server's side: the published exchanges, every way to be wrong, keys and hosts that change."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.peer_auth import Authenticated, Refused, ServerRules, Unauthenticated, Verdict, authenticate
from nodetrust.peer_auth.server import CHALLENGE_SECONDS
from nodetrust.peer_auth.tokens import Bearer, Opaque, seal_bearer, seal_opaque
from nodetrust.peer_auth.wire import (
    MAX_HEADER_CHARACTERS,
    Parameters,
    read_header,
    signed_by_client,
    signed_by_server,
    to_base64,
)
from tests.peer_auth.vectors import (
    ANSWER,
    BEARER,
    CLIENT,
    CLIENT_CHALLENGE,
    CLIENT_KEY,
    CLIENT_SIG,
    HELLO,
    HOST,
    OPAQUE,
    RULES,
    SERVER,
    SERVER_CHALLENGE,
    SERVER_FIRST_ANSWER,
    SERVER_FIRST_OPAQUE,
    SERVER_SIG,
    STALE_SIG,
)

OTHER = PrivateKey.from_seed(b"\3" * 32)


def ask(
    authorization: str | None,
    host: str = HOST,
    now: float = 0.0,
    challenge: str = CLIENT_CHALLENGE,
    rules: ServerRules = RULES,
) -> Verdict:
    return authenticate(rules, authorization, host, now, challenge)


class _Case(SynchronousTestCase):
    def challenged(self, verdict: Verdict) -> Parameters:
        assert isinstance(verdict, Unauthenticated), verdict
        said = read_header(verdict.header)
        self.assertEqual((said.public_key, said.bearer), (SERVER.public_key, None))
        return said

    def informed(self, verdict: Verdict) -> Parameters:
        assert isinstance(verdict, Authenticated), verdict
        self.assertEqual(verdict.peer, CLIENT.peer_id)
        assert verdict.header is not None
        return read_header(verdict.header)


class VectorTests(_Case):
    def test_client_begins(self) -> None:
        """Challenge and signature are the published ones, and the published answer is taken."""
        said = self.challenged(ask(HELLO))
        self.assertEqual((said.challenge_client, to_base64(said.sig or b"")), (CLIENT_CHALLENGE, SERVER_SIG))
        informed = self.informed(ask(ANSWER))
        self.assertIsNone(informed.sig)
        self.assertEqual(ask(f'libp2p-PeerID bearer="{informed.bearer}"'), Authenticated(CLIENT.peer_id, None))

    def test_published_bearer(self) -> None:
        """go-libp2p's bearers are ours."""
        self.assertEqual(ask(f'libp2p-PeerID bearer="{BEARER}"'), Authenticated(CLIENT.peer_id, None))

    def test_server_begins(self) -> None:
        """Without credentials a challenge without a signature; it comes with the answer to the client's, and first."""
        self.assertIsNone(self.challenged(ask(None)).sig)
        verdict = ask(SERVER_FIRST_ANSWER)
        self.assertEqual(to_base64(self.informed(verdict).sig or b""), SERVER_SIG)
        assert isinstance(verdict, Authenticated) and verdict.header is not None
        self.assertTrue(verdict.header.startswith(f'libp2p-PeerID sig="{SERVER_SIG}", bearer="'))

    def test_stale_example(self) -> None:
        """The specification's old signature, which does not cover the server's key, is refused."""
        self.assertIsInstance(ask(SERVER_FIRST_ANSWER.replace(CLIENT_SIG, STALE_SIG)), Refused)


class ExchangeTests(_Case):
    def test_every_kind_of_key(self) -> None:
        """A client may have any key, up to RSA of 4096 bits, whose headers still are short enough."""
        for key in (*(PrivateKey.generate(kind) for kind in KeyType), PrivateKey.generate(KeyType.RSA, 4096)):
            host = "registration.libp2p.direct"
            rules = replace(RULES, hostnames={host})
            hello = Parameters(challenge_server=SERVER_CHALLENGE, public_key=key.public_key).to_header()
            said = self.challenged(ask(hello, host, rules=rules))
            sig = key.sign(signed_by_client(said.challenge_client or "", host, SERVER.public_key))
            answer = Parameters(sig=sig, opaque=said.opaque).to_header()
            self.assertLessEqual(len(answer), MAX_HEADER_CHARACTERS)
            verdict = ask(answer, host, rules=rules)
            assert isinstance(verdict, Authenticated), verdict
            self.assertEqual(verdict.peer, key.peer_id)

    def test_same_answer_again(self) -> None:
        """js-libp2p repeats an answer whose response was lost: good while the challenge is, in any replica."""
        for now in (0.0, 1.0, CHALLENGE_SECONDS):
            self.informed(ask(ANSWER, now=now))
        self.challenged(ask(ANSWER, now=CHALLENGE_SECONDS + 1))

    def test_bearer_ends(self) -> None:
        """A bearer is good for its time and on its host, and then the client is challenged."""
        header = f'libp2p-PeerID bearer="{BEARER}"'
        self.assertIsInstance(ask(header, now=RULES.bearer_seconds), Authenticated)
        self.challenged(ask(header, now=RULES.bearer_seconds + 1))
        self.challenged(ask(header, "other.example", rules=replace(RULES, hostnames={"other.example"})))

    def test_from_the_future(self) -> None:
        """What was made long after now was not made here."""
        self.challenged(ask(ANSWER, now=-3600.0))
        self.challenged(ask(f'libp2p-PeerID bearer="{BEARER}"', now=-3600.0))

    def test_keys_are_replaced(self) -> None:
        """What an older key has sealed is good as long as the key is listed; the first one seals."""
        rules = replace(RULES, hmac_keys=(b"n" * 32, bytes(32)))
        bearer = self.informed(ask(ANSWER, rules=rules)).bearer
        self.assertIsInstance(
            ask(f'libp2p-PeerID bearer="{bearer}"', rules=replace(rules, hmac_keys=(b"n" * 32,))), Authenticated
        )
        self.challenged(ask(ANSWER, rules=replace(rules, hmac_keys=(b"n" * 32,))))

    def test_port_in_the_host(self) -> None:
        """A client may sign the host with its port or without, whichever it sends."""
        for signed in (f"{HOST}:8443", HOST):
            opaque = self.challenged(ask(None, f"{HOST}:8443")).opaque
            sig = CLIENT.sign(signed_by_client(CLIENT_CHALLENGE, signed, SERVER.public_key))
            answer = Parameters(
                challenge_server=SERVER_CHALLENGE, public_key=CLIENT.public_key, sig=sig, opaque=opaque
            ).to_header()
            informed = self.informed(ask(answer, f"{HOST}:8443"))
            data = signed_by_server(SERVER_CHALLENGE, CLIENT.public_key, signed)
            self.assertTrue(SERVER.public_key.verify(informed.sig or b"", data))
            for host in (f"{HOST}:8443", HOST, HOST.upper()):
                self.assertIsInstance(ask(f'libp2p-PeerID bearer="{informed.bearer}"', host), Authenticated)


class RefusalTests(_Case):
    def test_other_hosts(self) -> None:
        """A request for a host that is not ours is refused, whatever its credentials."""
        for host in ("", "example.org", "example.com.", "x.example.com", "example.com:x", ":443", "[::1]:443"):
            for header in (None, HELLO, ANSWER):
                self.assertIsInstance(ask(header, host), Refused, host)

    def test_challenge_of_another_host(self) -> None:
        """An answer counts where the challenge was asked for."""
        rules = replace(RULES, hostnames={HOST, "example.org"})
        self.assertIsInstance(ask(ANSWER, "example.org", rules=rules), Refused)

    def test_neither_nor(self) -> None:
        """Credentials that are none of the four states are refused."""
        for header in (
            "libp2p-PeerID ",
            "libp2p-PeerID",
            f'libp2p-PeerID sig="{CLIENT_SIG}"',
            f'libp2p-PeerID opaque="{OPAQUE}"',
            f'libp2p-PeerID public-key="{CLIENT_KEY}"',
            f'libp2p-PeerID challenge-server="{SERVER_CHALLENGE}"',
            "Basic eDp5",
        ):
            self.assertIsInstance(ask(header), Refused, header)

    def test_wrong_signature(self) -> None:
        """A signature of another key, over something else, or of no sense is refused."""
        for sig in (SERVER_SIG, to_base64(bytes(64)), "", "AAAA", to_base64(OTHER.sign(b""))):
            self.assertIsInstance(ask(f'libp2p-PeerID opaque="{OPAQUE}", sig="{sig}"'), Refused, sig)

    def test_key_is_swapped(self) -> None:
        """Who begins with one key cannot sign with another; a signature needs a key."""
        sig = to_base64(OTHER.sign(signed_by_client(CLIENT_CHALLENGE, HOST, SERVER.public_key)))
        other = to_base64(OTHER.public_key.to_protobuf())
        self.assertIsInstance(ask(f'libp2p-PeerID opaque="{OPAQUE}", sig="{sig}", public-key="{other}"'), Refused)
        self.assertIsInstance(ask(f'libp2p-PeerID opaque="{SERVER_FIRST_OPAQUE}", sig="{CLIENT_SIG}"'), Refused)

    def test_kinds_are_not_mixed(self) -> None:
        """A bearer is no opaque, and the other way round."""
        self.challenged(ask(f'libp2p-PeerID opaque="{BEARER}", sig="{CLIENT_SIG}"'))
        self.challenged(ask(f'libp2p-PeerID bearer="{OPAQUE}"'))

    def test_every_bit_counts(self) -> None:
        """A changed opaque or bearer leads to a new challenge, never to an error or a way in."""
        for text, header in (
            (OPAQUE, f'libp2p-PeerID opaque="{{}}", sig="{CLIENT_SIG}"'),
            (BEARER, 'libp2p-PeerID bearer="{}"'),
        ):
            for position in range(len(text) - 2):
                changed = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
                self.challenged(ask(header.format(changed)))

    def test_sealed_with_another_key(self) -> None:
        """What others have sealed counts for nothing."""
        opaque = seal_opaque(b"x" * 32, Opaque(challenge_client=CLIENT_CHALLENGE, hostname=HOST, created=0.0))
        bearer = seal_bearer(b"x" * 32, Bearer(peer=CLIENT.peer_id, hostname=HOST, created=0.0))
        self.challenged(ask(f'libp2p-PeerID opaque="{opaque}", sig="{CLIENT_SIG}"'))
        self.challenged(ask(f'libp2p-PeerID bearer="{bearer}"'))

    @given(st.text(max_size=300).map("libp2p-PeerID ".__add__), st.text(max_size=30))
    def test_garbage(self, header: str, host: str) -> None:
        """Whatever is sent, the verdict is one of the three, and nobody gets in."""
        self.assertNotIsInstance(ask(header), Authenticated)
        self.assertNotIsInstance(ask(header, host), Authenticated)
