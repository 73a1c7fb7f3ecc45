"""The client's side against the published exchanges, and against our server in all its moods."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.peer_auth import (
    Authenticated,
    ClientHandshake,
    InvalidHeader,
    PeerAuthError,
    ServerNotProven,
    ServerRefused,
    Token,
    Unauthenticated,
    authenticate,
    hostname_of,
)
from nodetrust.peer_auth.wire import Parameters, read_header
from tests.peer_auth.vectors import (
    BEARER,
    CHALLENGE,
    CLIENT,
    CLIENT_CHALLENGE,
    CLIENT_SIG,
    HELLO,
    HOST,
    OPAQUE,
    RULES,
    SERVER,
    SERVER_CHALLENGE,
    SERVER_FIRST_ANSWER,
    SERVER_FIRST_CHALLENGE,
    SERVER_SIG,
)

TOKEN = Token(BEARER, SERVER.peer_id)


def begin(token: Token | None = None) -> ClientHandshake:
    return ClientHandshake(CLIENT, HOST, SERVER_CHALLENGE, token)


class VectorTests(SynchronousTestCase):
    def test_client_begins(self) -> None:
        """The published exchange, to the byte."""
        client = begin()
        self.assertEqual((client.authorization, client.sends_body), (HELLO, False))
        self.assertFalse(client.receive(401, [CHALLENGE], []))
        self.assertEqual(client.authorization, f'libp2p-PeerID sig="{CLIENT_SIG}", opaque="{OPAQUE}"')
        self.assertEqual((client.sends_body, client.server), (True, SERVER.peer_id))
        self.assertTrue(client.receive(200, [], [f'libp2p-PeerID bearer="{BEARER}"']))
        self.assertEqual(client.token, TOKEN)

    def test_server_begins(self) -> None:
        """A challenge without a signature is answered with a challenge of our own, whose answer is then looked at."""
        client = begin()
        self.assertFalse(client.receive(401, [SERVER_FIRST_CHALLENGE], []))
        self.assertEqual(read_header(client.authorization), read_header(SERVER_FIRST_ANSWER))
        self.assertIsNone(client.server)
        self.assertTrue(client.receive(400, [], [f'libp2p-PeerID sig="{SERVER_SIG}" bearer="{BEARER}"']))
        self.assertEqual((client.token, client.server), (TOKEN, SERVER.peer_id))

    def test_bearer(self) -> None:
        """What it has it brings along, and the answer comes at once."""
        client = begin(TOKEN)
        self.assertEqual((client.authorization, client.sends_body), (f'libp2p-PeerID bearer="{BEARER}"', True))
        self.assertTrue(client.receive(200, [], []))
        self.assertEqual((client.token, client.server), (TOKEN, SERVER.peer_id))

    def test_bearer_is_stale(self) -> None:
        """A bearer that the server does not take is forgotten, and a handshake follows."""
        client = begin(TOKEN)
        self.assertFalse(client.receive(401, [SERVER_FIRST_CHALLENGE], []))
        self.assertEqual((client.authorization, client.token, client.server), (HELLO, None, None))

    def test_no_bearer(self) -> None:
        """A server may give none."""
        client = begin()
        client.receive(401, ["Basic", CHALLENGE], [])
        self.assertTrue(client.receive(200, [], []))
        self.assertIsNone(client.token)


class RefusalTests(SynchronousTestCase):
    def test_other_server(self) -> None:
        """A signature by another key than the one shown proves nothing."""
        other = PrivateKey.from_seed(b"\3" * 32).public_key
        said = read_header(CHALLENGE)
        header = Parameters(
            challenge_client=said.challenge_client, public_key=other, sig=said.sig, opaque=said.opaque
        ).to_header()
        self.assertRaises(ServerNotProven, begin().receive, 401, [header], [])

    def test_unproven_at_the_end(self) -> None:
        """A server that has not signed first has to sign last, and rightly."""
        for info in ([], [f'libp2p-PeerID bearer="{BEARER}"'], [f'libp2p-PeerID sig="{CLIENT_SIG}"']):
            client = begin()
            client.receive(401, [SERVER_FIRST_CHALLENGE], [])
            self.assertRaises(ServerNotProven, client.receive, 200, [], info)
            self.assertIsNone(client.token)

    def test_other_schemes(self) -> None:
        """A server without this scheme, or that wants no credentials, is told from one with it."""
        self.assertRaises(ServerRefused, begin().receive, 401, ["Basic"], [])
        self.assertRaises(ServerRefused, begin().receive, 401, [], [])
        for status in (200, 204, 400, 404, 500):
            self.assertRaises(ServerRefused, begin().receive, status, [], [])

    def test_broken_challenges(self) -> None:
        """A challenge that lacks a part, or is cut short, is an error of ours."""
        for length in range(len(CHALLENGE)):
            self.assertRaises(PeerAuthError, begin().receive, 401, [CHALLENGE[:length]], [])
        self.assertRaises(InvalidHeader, begin().receive, 401, ["libp2p-PeerID opaque=a"], [])

    def test_no_end(self) -> None:
        """A server that is never content is left after five requests."""
        client = begin(TOKEN)
        sent = 1
        with self.assertRaises(ServerRefused):
            while not client.receive(401, [CHALLENGE], []):
                sent += 1
        self.assertEqual(sent, 5)


class TogetherTests(SynchronousTestCase):
    def _talk(self, client: ClientHandshake, challenge: Callable[[str], str]) -> int:
        for sent in range(1, 6):
            verdict = authenticate(RULES, client.authorization, HOST, 0.0, CLIENT_CHALLENGE)
            if isinstance(verdict, Unauthenticated):
                done = client.receive(401, [challenge(verdict.header)], [])
            else:
                assert isinstance(verdict, Authenticated), verdict
                done = client.receive(200, [], [] if verdict.header is None else [verdict.header])
            if done:
                return sent
        raise AssertionError("no end")

    def test_both_modes_and_the_bearer(self) -> None:
        """Our two sides agree, whoever begins, and the bearer spares the handshake."""

        def unsigned(header: str) -> str:
            said = read_header(header)
            return Parameters(
                challenge_client=said.challenge_client, public_key=said.public_key, opaque=said.opaque
            ).to_header()

        for challenge in (str, unsigned):
            client = begin()
            self.assertEqual(self._talk(client, challenge), 2)
            self.assertEqual(client.server, SERVER.peer_id)
            self.assertEqual(self._talk(begin(client.token), challenge), 1)
        stale = Token("AAAA", SERVER.peer_id)
        self.assertEqual(self._talk(begin(stale), str), 3)

    def test_hostname(self) -> None:
        """The port belongs to the name unless it is the scheme's."""
        for url, hostname in (
            ("https://Example.com/v1", "example.com"),
            ("https://example.com:443/", "example.com"),
            ("https://example.com:8443/", "example.com:8443"),
            ("http://example.com:443/", "example.com:443"),
            ("http://[::1]:80/", "[::1]"),
            ("https://[::1]:8443/", "[::1]:8443"),
        ):
            self.assertEqual(hostname_of(url), hostname)
