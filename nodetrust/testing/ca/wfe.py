"""The web front end: requests of RFC 8555 → answers. No I/O: the validation it asks for is done by others."""

from collections.abc import Mapping

from josepy.jwk import JWK

from nodetrust.testing.ca.accounts import AccountResources, check_active
from nodetrust.testing.ca.certificates import CertificateResources
from nodetrust.testing.ca.jws import SignedRequest, parse_request
from nodetrust.testing.ca.orders import OrderResources
from nodetrust.testing.ca.problems import MEDIA_TYPE, Problem
from nodetrust.testing.ca.reply import CAContext, Call, Reply, Route, json_reply

DIRECTORY_PATH = "/directory"

_JOSE = "application/jose+json"


class FrontEnd:
    """Checks a request (method, type, signature, nonce, URL), then gives it to the resource it is for."""

    def __init__(self, ca: CAContext) -> None:
        self._ca = ca
        self._accounts = AccountResources(ca)
        self._certificates = CertificateResources(ca)
        self._signed: Mapping[str, Route] = {
            **self._accounts.routes(),
            **OrderResources(ca).routes(),
            **self._certificates.routes(),
        }

    def answer(self, method: str, path: str, media_type: str, body: bytes) -> Reply:
        """The answer to any request whatever."""
        _, room, argument = [*path.split("/", 2), "", ""][:3]
        try:
            if method == "POST":
                reply = self._post(path, room, argument, media_type, body)
            else:
                reply = self._read(method, room, argument)
        except Problem as problem:
            headers = {"Content-Type": MEDIA_TYPE}
            if problem.kind == "rateLimited":
                headers["Retry-After"] = str(self._ca.settings.rate_limited_seconds)
            reply = Reply(problem.status, problem.body(), headers)
        common = {"Link": f'<{self._ca.url("directory")}>;rel="index"', "Cache-Control": "no-store"}
        if method == "POST" or room == "nonce":
            common["Replay-Nonce"] = self._ca.database.nonces.add(True)
        return Reply(reply.status, reply.body, {**common, **reply.headers})

    def _read(self, method: str, room: str, argument: str) -> Reply:
        if method not in ("GET", "HEAD"):
            raise Problem("malformed", "the methods are GET, HEAD and POST", 405)
        match room:
            case "directory":
                return json_reply(self._directory())
            case "nonce":
                return Reply(200 if method == "HEAD" else 204)
            case "renewal-info":
                return self._certificates.renewal_info(argument)
        raise Problem("malformed", "there is nothing here to GET", 404 if room not in self._signed else 405)

    def _directory(self) -> dict[str, object]:
        return {
            "newNonce": self._ca.url("nonce"),
            "newAccount": self._ca.url("new-account"),
            "newOrder": self._ca.url("new-order"),
            "keyChange": self._ca.url("key-change"),
            "revokeCert": self._ca.url("revoke"),
            "renewalInfo": self._ca.url("renewal-info"),
            "meta": {
                "termsOfService": "data:text/plain,for%20development%20only",
                "caaIdentities": list(self._ca.settings.caa_identities),
                "profiles": {name: f"{life} of validity" for name, life in self._ca.settings.profiles.items()},
            },
        }

    def _post(self, path: str, room: str, argument: str, media_type: str, body: bytes) -> Reply:
        if room not in self._signed and room != "new-account":
            raise Problem("malformed", "there is nothing here to POST to", 404)
        if media_type != _JOSE:
            raise Problem("malformed", f"requests have the type {_JOSE}", 415)
        request = parse_request(body)
        if room == "new-account":
            return self._accounts.new_account(self._checked(request, request.key, path), request.payload)
        if room == "revoke" and request.key is not None:
            return self._certificates.revoke_by_key(self._checked(request, request.key, path), request.payload)
        if request.account_url is None:
            raise Problem("malformed", "this resource wants a kid")
        account_id = request.account_url.removeprefix(self._ca.url("account/"))
        account = self._ca.database.accounts.get(account_id)
        if account is None or request.account_url != self._ca.url(f"account/{account_id}"):
            raise Problem("accountDoesNotExist", "there is no account with this URL")
        self._checked(request, account.key, path)
        check_active(account)
        return self._signed[room](Call(account_id, account, argument, request.payload))

    def _checked(self, request: SignedRequest, key: JWK | None, path: str) -> JWK:
        if key is None:
            raise Problem("malformed", "this resource wants a jwk")
        request.check(key)
        if request.url != self._ca.base_url + path:
            raise Problem("unauthorized", "the url in the protected header is another one")
        known = self._ca.database.nonces.pop(request.nonce)
        if known is None or self._ca.random.random() < self._ca.settings.bad_nonce_rate:
            raise Problem("badNonce", "the nonce is not, or no longer, good")
        return key
