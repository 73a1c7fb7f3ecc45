"""The web front end: requests of RFC 8555 → answers. No I/O: the validation it asks for is done by others.

Every answer is a `Reply`; statuses are computed from the database whenever they are shown.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from cryptography import x509
from josepy.errors import Error as JoseError
from josepy.json_util import decode_b64jose
from josepy.jwk import JWK

from nodetrust.testing.ca import policy
from nodetrust.testing.ca.ca import CertificateAuthority, parse_csr
from nodetrust.testing.ca.db import (
    Account,
    Authorization,
    Certificate,
    Database,
    Order,
    authorization_status,
    challenge_status,
)
from nodetrust.testing.ca.jws import SignedRequest, parse_request
from nodetrust.testing.ca.problems import MEDIA_TYPE, Problem
from nodetrust.testing.ca.settings import CASettings

DIRECTORY_PATH = "/directory"
CHAIN_TYPE = "application/pem-certificate-chain"

_JOSE = "application/jose+json"
_ORDER_SECONDS = 3600.0
_AUTHORIZATION_SECONDS = 86_400.0
_RENEWAL_SECONDS = 21_600  # how often to ask for renewalInfo


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that was signed by a known account."""

    account_id: str
    account: Account
    argument: str  # the last part of the path
    payload: bytes

    def object(self) -> dict[str, object]:
        """The payload as a JSON object; `Problem` if it is none."""
        try:
            found = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise Problem("malformed", "the payload is not JSON") from error
        if not isinstance(found, dict):
            raise Problem("malformed", "the payload is not a JSON object")
        return found

    def expect_empty(self) -> None:
        """`Problem` unless this is a POST-as-GET."""
        if self.payload != b"":
            raise Problem("malformed", "this resource is read with an empty payload")


class FrontEnd:
    """The CA behind `base_url` (`https://host:port`). `validate(id)` shall begin to validate an authorization."""

    def __init__(
        self,
        base_url: str,
        database: Database,
        authority: CertificateAuthority,
        settings: CASettings,
        *,
        seconds: Callable[[], float],
        random: Random,
        validate: Callable[[str], None],
    ) -> None:
        self._base_url = base_url
        self._db = database
        self._authority = authority
        self._settings = settings
        self._seconds = seconds
        self._random = random
        self._validate = validate
        self._signed: Mapping[str, Callable[[_Call], Reply]] = {
            "account": self._account,
            "new-order": self._new_order,
            "order": self._order,
            "authorization": self._authorization,
            "challenge": self._challenge,
            "finalize": self._finalize,
            "certificate": self._certificate,
            "revoke": self._revoke,
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
                headers["Retry-After"] = str(self._settings.rate_limited_seconds)
            reply = Reply(problem.status, problem.body(), headers)
        common = {"Link": f'<{self._url("directory")}>;rel="index"', "Cache-Control": "no-store"}
        if method == "POST" or room == "nonce":
            common["Replay-Nonce"] = self._db.nonces.add(True)
        return Reply(reply.status, reply.body, {**common, **reply.headers})

    def _read(self, method: str, room: str, argument: str) -> Reply:
        if method not in ("GET", "HEAD"):
            raise Problem("malformed", "the methods are GET, HEAD and POST", 405)
        match room:
            case "directory":
                return _json(self._directory())
            case "nonce":
                return Reply(200 if method == "HEAD" else 204)
            case "renewal-info":
                return self._renewal_info(argument)
        raise Problem("malformed", "there is nothing here to GET", 404 if room not in self._signed else 405)

    def _directory(self) -> dict[str, object]:
        return {
            "newNonce": self._url("nonce"),
            "newAccount": self._url("new-account"),
            "newOrder": self._url("new-order"),
            "revokeCert": self._url("revoke"),
            "renewalInfo": self._url("renewal-info"),
            "meta": {
                "termsOfService": "data:text/plain,for%20development%20only",
                "profiles": {name: f"{life} of validity" for name, life in self._settings.profiles.items()},
            },
        }

    def _post(self, path: str, room: str, argument: str, media_type: str, body: bytes) -> Reply:
        if room not in self._signed and room != "new-account":
            raise Problem("malformed", "there is nothing here to POST to", 404)
        if media_type != _JOSE:
            raise Problem("malformed", f"requests have the type {_JOSE}", 415)
        request = parse_request(body)
        if room == "new-account":
            return self._new_account(self._checked(request, request.key, path), request)
        if request.account_url is None:
            raise Problem("malformed", "this resource wants a kid")
        account_id = request.account_url.removeprefix(self._url("account/"))
        account = self._db.accounts.get(account_id)
        if account is None or request.account_url != self._url(f"account/{account_id}"):
            raise Problem("accountDoesNotExist", "there is no account with this URL")
        self._checked(request, account.key, path)
        return self._signed[room](_Call(account_id, account, argument, request.payload))

    def _checked(self, request: SignedRequest, key: JWK | None, path: str) -> JWK:
        if key is None:
            raise Problem("malformed", "this resource wants a jwk")
        request.check(key)
        if request.url != self._base_url + path:
            raise Problem("unauthorized", "the url in the protected header is another one")
        known = self._db.nonces.pop(request.nonce)
        if known is None or self._random.random() < self._settings.bad_nonce_rate:
            raise Problem("badNonce", "the nonce is not, or no longer, good")
        return key

    def _new_account(self, key: JWK, request: SignedRequest) -> Reply:
        wanted = _Call("", Account(key, ()), "", request.payload).object()
        thumbprint = key.thumbprint()
        found = self._db.accounts.find(lambda account: account.key.thumbprint() == thumbprint)
        if found is not None:
            return self._shown_account(found, 200)
        if wanted.get("onlyReturnExisting") is True:
            raise Problem("accountDoesNotExist", "there is no account with this key")
        if wanted.get("termsOfServiceAgreed") is not True:
            raise Problem("userActionRequired", "the terms of service must be agreed to")
        contact = wanted.get("contact", [])
        if not isinstance(contact, list) or not all(_is_mail(one) for one in contact):
            raise Problem("unsupportedContact", "contacts are a list of mailto URLs")
        return self._shown_account(self._db.accounts.add(Account(key.public_key(), tuple(contact))), 201)

    def _account(self, call: _Call) -> Reply:
        if call.argument != call.account_id:
            raise Problem("unauthorized", "this is another account")
        return self._shown_account(call.account_id, 200)

    def _shown_account(self, identifier: str, status: int) -> Reply:
        account = self._db.accounts.get(identifier)
        contact = [] if account is None else list(account.contact)
        return _json({"status": "valid", "contact": contact}, status, Location=self._url(f"account/{identifier}"))

    def _new_order(self, call: _Call) -> Reply:
        if self._settings.rate_limited_seconds is not None:
            raise Problem("rateLimited", "too many new orders")
        wanted = call.object()
        names = _identifiers(wanted.get("identifiers"))
        for name in names:
            policy.check_name(name, self._settings.refused)
        profile = wanted.get("profile", next(iter(self._settings.profiles)))
        if not isinstance(profile, str) or profile not in self._settings.profiles:
            raise Problem("invalidProfile", f"the profiles are {', '.join(self._settings.profiles)}")
        authorizations = tuple(self._authorization_for(call.account_id, name) for name in names)
        expires = self._seconds() + _ORDER_SECONDS
        identifier = self._db.orders.add(Order(call.account_id, names, authorizations, profile, expires))
        return self._shown_order(identifier, 201)

    def _authorization_for(self, account_id: str, name: str) -> str:
        base, wildcard, now = name.removeprefix("*."), name.startswith("*."), self._seconds()

        def is_reusable(old: Authorization) -> bool:
            same = (old.account_id, old.name, old.wildcard) == (account_id, base, wildcard)
            return same and authorization_status(old, now) == "valid"

        if self._random.random() < self._settings.authorization_reuse:
            found = self._db.authorizations.find(is_reusable)
            if found is not None:
                return found
        token = self._db.random_id()
        return self._db.authorizations.add(
            Authorization(account_id, base, wildcard, token, now + _AUTHORIZATION_SECONDS)
        )

    def _order(self, call: _Call) -> Reply:
        call.expect_empty()
        self._own_order(call)
        return self._shown_order(call.argument, 200)

    def _own_order(self, call: _Call) -> Order:
        order = self._db.orders.get(call.argument)
        if order is None:
            raise Problem("malformed", "there is no such order", 404)
        if order.account_id != call.account_id:
            raise Problem("unauthorized", "this is another account's order")
        return order

    def _shown_order(self, identifier: str, status: int) -> Reply:
        order = self._db.orders.get(identifier)
        if order is None:
            raise Problem("malformed", "there is no such order", 404)
        shown: dict[str, object] = {
            "status": self._db.order_status(order, self._seconds()),
            "expires": _rfc3339(order.expires),
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "authorizations": [self._url(f"authorization/{one}") for one in order.authorization_ids],
            "finalize": self._url(f"finalize/{identifier}"),
            "profile": order.profile,
        }
        if order.certificate_id is not None:
            shown["certificate"] = self._url(f"certificate/{order.certificate_id}")
        if (problem := self._db.order_problem(order)) is not None:
            shown["error"] = problem.document()
        return _json(shown, status, Location=self._url(f"order/{identifier}"))

    def _own_authorization(self, call: _Call) -> Authorization:
        found = self._db.authorizations.get(call.argument)
        if found is None:
            raise Problem("malformed", "there is no such authorization", 404)
        if found.account_id != call.account_id:
            raise Problem("unauthorized", "this is another account's authorization")
        return found

    def _authorization(self, call: _Call) -> Reply:
        call.expect_empty()
        found = self._own_authorization(call)
        shown: dict[str, object] = {
            "status": authorization_status(found, self._seconds()),
            "expires": _rfc3339(found.expires),
            "identifier": {"type": "dns", "value": found.name},
            "challenges": [self._shown_challenge(call.argument, found)],
        }
        if found.wildcard:
            shown["wildcard"] = True
        return _json(shown, 200, **self._wait_header(found))

    def _challenge(self, call: _Call) -> Reply:
        found = self._own_authorization(call)
        if call.payload:
            call.object()  # `{}`: go ahead and validate
            if not found.answered and authorization_status(found, self._seconds()) == "pending":
                found.answered = True
                self._validate(call.argument)
        up = f'<{self._url(f"authorization/{call.argument}")}>;rel="up"'
        return _json(self._shown_challenge(call.argument, found), 200, Link=up, **self._wait_header(found))

    def _wait_header(self, authorization: Authorization) -> dict[str, str]:
        waiting = challenge_status(authorization) == "processing"
        seconds = self._settings.retry_after_seconds
        return {"Retry_After": str(seconds)} if waiting and seconds is not None else {}

    def _shown_challenge(self, identifier: str, authorization: Authorization) -> dict[str, object]:
        shown: dict[str, object] = {
            "type": "dns-01",
            "url": self._url(f"challenge/{identifier}"),
            "token": authorization.token,
            "status": challenge_status(authorization),
        }
        if authorization.validated is not None:
            shown["validated"] = _rfc3339(authorization.validated)
        if authorization.problem is not None:
            shown["error"] = authorization.problem.document()
        return shown

    def _finalize(self, call: _Call) -> Reply:
        order = self._own_order(call)
        if (status := self._db.order_status(order, self._seconds())) != "ready":
            raise Problem("orderNotReady", f"the order is {status}")
        csr = parse_csr(_base64(call.object().get("csr")), order.names)
        chain_pem = self._authority.issue(csr, order.names, self._now(), self._settings.profiles[order.profile])
        leaf = x509.load_pem_x509_certificate(chain_pem)
        order.certificate_id = self._db.certificates.add(
            Certificate(
                call.account_id,
                chain_pem,
                leaf.serial_number,
                leaf.not_valid_before_utc.timestamp(),
                leaf.not_valid_after_utc.timestamp(),
            )
        )
        return self._shown_order(call.argument, 200)

    def _certificate(self, call: _Call) -> Reply:
        call.expect_empty()
        found = self._db.certificates.get(call.argument)
        if found is None:
            raise Problem("malformed", "there is no such certificate", 404)
        if found.account_id != call.account_id:
            raise Problem("unauthorized", "this is another account's certificate")
        return Reply(200, found.chain_pem, {"Content-Type": CHAIN_TYPE})

    def _revoke(self, call: _Call) -> Reply:
        try:
            serial = x509.load_der_x509_certificate(_base64(call.object().get("certificate"))).serial_number
        except ValueError as error:
            raise Problem("malformed", "this is no certificate") from error
        found = self._certificate_with(serial)
        if found is None or found.account_id != call.account_id:
            raise Problem("unauthorized", "this account has no such certificate")
        if found.revoked:
            raise Problem("alreadyRevoked", "the certificate was revoked before")
        found.revoked = True
        return Reply(200)

    def _renewal_info(self, ari_id: str) -> Reply:
        found = self._certificate_with(int.from_bytes(_base64(ari_id.partition(".")[2]), "big"))
        if found is None:
            raise Problem("malformed", "there is no such certificate", 404)
        # Two thirds into its life, or at once for what is revoked.
        start = found.not_before if found.revoked else found.not_before + (found.not_after - found.not_before) * 2 / 3
        window = {"start": _rfc3339(start), "end": _rfc3339(start + (found.not_after - found.not_before) / 12)}
        return _json({"suggestedWindow": window}, Retry_After=str(_RENEWAL_SECONDS))

    def _certificate_with(self, serial: int) -> Certificate | None:
        identifier = self._db.certificates.find(lambda certificate: certificate.serial == serial)
        return None if identifier is None else self._db.certificates.get(identifier)

    def _url(self, rest: str) -> str:
        return f"{self._base_url}/{rest}"

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._seconds(), UTC)


def _json(document: Mapping[str, object], status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


def _identifiers(wanted: object) -> tuple[str, ...]:
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= policy.MAX_NAMES:
        raise Problem("malformed", f"an order has 1 to {policy.MAX_NAMES} identifiers")
    names: Sequence[object] = [one.get("value") if isinstance(one, dict) else None for one in wanted]
    if any(not isinstance(one, dict) or one.get("type") != "dns" for one in wanted):
        raise Problem("unsupportedIdentifier", "identifiers are of the type dns")
    found = tuple(dict.fromkeys(name for name in names if isinstance(name, str)))
    if len(found) != len(wanted):
        raise Problem("malformed", "an identifier has no value, or comes twice")
    return found


def _is_mail(contact: object) -> bool:
    return isinstance(contact, str) and contact.startswith("mailto:") and len(contact) <= 254


def _base64(text: object) -> bytes:
    try:
        if isinstance(text, str):
            decoded: bytes = decode_b64jose(text)
            return decoded
    except (JoseError, ValueError):
        pass
    raise Problem("malformed", "this is not base64url")


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
