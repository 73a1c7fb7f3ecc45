"""The examples of libp2p/specs http/peer-id-auth, made anew where those are stale."""

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.peer_auth import ServerRules

SERVER = PrivateKey.from_seed(b"\1" * 32)
CLIENT = PrivateKey.from_seed(b"\2" * 32)
HOST = "example.com"
RULES = ServerRules(SERVER, (bytes(32),), frozenset({HOST}), 3600.0)

SERVER_KEY = "CAESIIqI4910CfGV_VLbLTy6XXLKZwm_HZQSG_N0iAG0D29c"
CLIENT_KEY = "CAESIIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
CLIENT_CHALLENGE = "ERERERERERERERERERERERERERERERERERERERERERE="
SERVER_CHALLENGE = "MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMz"
SERVER_SIG = "HQ7BJRaSpRhNCORNiALNJENdwXUyq0eM2cxNoxe-XnQw6oEAMaeYnjMYaHHjgq0XNxZmy4W2ngKUcI1CgprLCQ=="
CLIENT_SIG = "OrwJPO4buHKJdKXP2av8PFwv3XF_-m5MqndskeVV5UzufYzBCTm7RBaFnBS1sEhuQHZSZPh9RJgN5NmLzrUrBQ=="
STALE_SIG = "5RT0BbFdn-hMgE4pQ_GH9tnlKpptGUQZvkh8kVLbwy81Rzli_vfiNOsuGTcMk8lyUfkmTFmk79b5XUZCR3-RBw=="

OPAQUE = (
    "1JrloFj6hobNG859qexB0_odSQlwsb1QSFUMebPJLFp7ImNsaWVudC1wdWJsaWMta2V5IjoiQ0FFU0lJRTVkdzZvZlJkZlZxTlVac05NZnN6TGpZc"
    "VJ0TzQzb2wzMkQxdVB5Yk9VIiwiY2hhbGxlbmdlLWNsaWVudCI6IkVSRVJFUkVSRVJFUkVSRVJFUkVSRVJFUkVSRVJFUkVSRVJFUkVSRVJFUkU9Ii"
    "wiaG9zdG5hbWUiOiJleGFtcGxlLmNvbSIsImNyZWF0ZWQtdGltZSI6IjE5NjktMTItMzFUMTY6MDA6MDAtMDg6MDAifQ=="
)
BEARER = (
    "YhlYjHWTMOkTleROtjMiChL7Mx15_GDYfi971mdJCqB7ImlzLXRva2VuIjp0cnVlLCJwZWVyLWlkIjoiMTJEM0tvb1dKV29hcVpoRGFvRUZzaEY3U"
    "mgxYnBZOW9oaWhGaHpjVzZkNjlMcjJOQVN1cSIsImhvc3RuYW1lIjoiZXhhbXBsZS5jb20iLCJjcmVhdGVkLXRpbWUiOiIxOTY5LTEyLTMxVDE2Oj"
    "AwOjAwLTA4OjAwIn0="
)
SERVER_FIRST_OPAQUE = (
    "0H1Y9sq1zrfTJZCCTcTymI2tV_TF9-PzdMip2dFkiqZ7ImNoYWxsZW5nZS1jbGllbnQiOiJFUkVSRVJFUkVSRVJFUkVSRVJFUkVSRVJFUkVSRVJFU"
    "kVSRVJFUkVSRVJFPSIsImhvc3RuYW1lIjoiZXhhbXBsZS5jb20iLCJjcmVhdGVkLXRpbWUiOiIxOTY5LTEyLTMxVDE2OjAwOjAwLTA4OjAwIn0="
)

HELLO = f'libp2p-PeerID challenge-server="{SERVER_CHALLENGE}", public-key="{CLIENT_KEY}"'
CHALLENGE = (
    f'libp2p-PeerID challenge-client="{CLIENT_CHALLENGE}", public-key="{SERVER_KEY}", sig="{SERVER_SIG}", '
    f'opaque="{OPAQUE}"'
)
ANSWER = f'libp2p-PeerID opaque="{OPAQUE}", sig="{CLIENT_SIG}"'
SERVER_FIRST_CHALLENGE = (
    f'libp2p-PeerID challenge-client="{CLIENT_CHALLENGE}", public-key="{SERVER_KEY}", opaque="{SERVER_FIRST_OPAQUE}"'
)
SERVER_FIRST_ANSWER = (
    f'libp2p-PeerID public-key="{CLIENT_KEY}", challenge-server="{SERVER_CHALLENGE}", sig="{CLIENT_SIG}", '
    f'opaque="{SERVER_FIRST_OPAQUE}"'
)
