"""Orders, authorizations and challenges. RFC 8555 §7.4, §7.5, RFC 9773 §5."""

from collections.abc import Mapping, Sequence

from cryptography import x509

from nodetrust.testing.ca import policy
from nodetrust.testing.ca.ca import parse_csr
from nodetrust.testing.ca.db import Authorization, Certificate, Order, authorization_status, challenge_status
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.replacement import check_replaces
from nodetrust.testing.ca.reply import CAContext, Call, Reply, Route, base64_bytes, json_reply, rfc3339

_ORDERS_PER_PAGE = 3  # as Pebble, so that clients learn to turn pages
_ORDER_SECONDS = 3600.0
_AUTHORIZATION_SECONDS = 86_400.0


class OrderResources:
    """From the names of an order to its certificate."""

    def __init__(self, ca: CAContext) -> None:
        self._ca = ca

    def routes(self) -> Mapping[str, Route]:
        """First part of the path → what answers a signed POST to it."""
        return {
            "new-order": self._new_order,
            "order": self._order,
            "orders": self._orders,
            "authorization": self._authorization,
            "challenge": self._challenge,
            "finalize": self._finalize,
        }

    def _new_order(self, call: Call) -> Reply:
        if self._ca.settings.rate_limited_seconds is not None:
            raise Problem("rateLimited", "too many new orders")
        wanted = call.object()
        names = _identifiers(wanted.get("identifiers"))
        for name in names:
            policy.check_name(name, self._ca.settings.refused)
        profile = wanted.get("profile", next(iter(self._ca.settings.profiles)))
        if not isinstance(profile, str) or profile not in self._ca.settings.profiles:
            raise Problem("invalidProfile", f"the profiles are {', '.join(self._ca.settings.profiles)}")
        replaces = wanted.get("replaces")
        if replaces is not None:
            replaces = check_replaces(self._ca.database, replaces, call.account_id, names, self._ca.seconds())
        authorizations = tuple(self._authorization_for(call.account_id, name) for name in names)
        expires = self._ca.seconds() + _ORDER_SECONDS
        order = Order(call.account_id, names, authorizations, profile, expires, replaces)
        identifier = self._ca.database.orders.add(order)
        return self._shown_order(identifier, 201)

    def _authorization_for(self, account_id: str, name: str) -> str:
        base, wildcard, now = name.removeprefix("*."), name.startswith("*."), self._ca.seconds()

        def is_reusable(old: Authorization) -> bool:
            same = (old.account_id, old.name, old.wildcard) == (account_id, base, wildcard)
            return same and authorization_status(old, now) == "valid"

        if self._ca.random.random() < self._ca.settings.authorization_reuse:
            found = self._ca.database.authorizations.find(is_reusable)
            if found is not None:
                return found
        token = self._ca.database.random_id()
        return self._ca.database.authorizations.add(
            Authorization(account_id, base, wildcard, token, now + _AUTHORIZATION_SECONDS)
        )

    def _order(self, call: Call) -> Reply:
        call.expect_empty()
        self._own_order(call)
        return self._shown_order(call.argument, 200)

    def _orders(self, call: Call) -> Reply:
        call.expect_empty()
        account_id, _, number = call.argument.partition("/")
        if account_id != call.account_id or not (number or "1").isdigit():
            raise Problem("malformed", "there is no such list", 404)
        page, database, now = int(number or 1), self._ca.database, self._ca.seconds()
        found = [
            self._ca.url(f"order/{identifier}")
            for identifier, order in database.orders.items()
            if order.account_id == account_id and database.order_status(order, now) != "invalid"
        ]
        shown = {"orders": found[(page - 1) * _ORDERS_PER_PAGE : page * _ORDERS_PER_PAGE]}
        if len(found) <= page * _ORDERS_PER_PAGE:
            return json_reply(shown)
        return json_reply(shown, Link=f'<{self._ca.url(f"orders/{account_id}/{page + 1}")}>;rel="next"')

    def _own_order(self, call: Call) -> Order:
        order = self._ca.database.orders.get(call.argument)
        if order is None:
            raise Problem("malformed", "there is no such order", 404)
        if order.account_id != call.account_id:
            raise Problem("unauthorized", "this is another account's order")
        return order

    def _shown_order(self, identifier: str, status: int) -> Reply:
        order = self._ca.database.orders.get(identifier)
        if order is None:
            raise Problem("malformed", "there is no such order", 404)
        shown: dict[str, object] = {
            "status": self._ca.database.order_status(order, self._ca.seconds()),
            "expires": rfc3339(order.expires),
            "identifiers": [{"type": "dns", "value": name} for name in order.names],
            "authorizations": [self._ca.url(f"authorization/{one}") for one in order.authorization_ids],
            "finalize": self._ca.url(f"finalize/{identifier}"),
            "profile": order.profile,
        }
        if order.replaces is not None:
            shown["replaces"] = order.replaces
        if order.certificate_id is not None:
            shown["certificate"] = self._ca.url(f"certificate/{order.certificate_id}")
        if (problem := self._ca.database.order_problem(order)) is not None:
            shown["error"] = problem.document()
        return json_reply(shown, status, Location=self._ca.url(f"order/{identifier}"))

    def _own_authorization(self, call: Call) -> Authorization:
        found = self._ca.database.authorizations.get(call.argument)
        if found is None:
            raise Problem("malformed", "there is no such authorization", 404)
        if found.account_id != call.account_id:
            raise Problem("unauthorized", "this is another account's authorization")
        return found

    def _authorization(self, call: Call) -> Reply:
        call.expect_empty()
        found = self._own_authorization(call)
        shown: dict[str, object] = {
            "status": authorization_status(found, self._ca.seconds()),
            "expires": rfc3339(found.expires),
            "identifier": {"type": "dns", "value": found.name},
            "challenges": [self._shown_challenge(call.argument, found)],
        }
        if found.wildcard:
            shown["wildcard"] = True
        return json_reply(shown, 200, **self._wait_header(found))

    def _challenge(self, call: Call) -> Reply:
        found = self._own_authorization(call)
        if call.payload:
            call.object()  # `{}`: go ahead and validate
            if not found.answered and authorization_status(found, self._ca.seconds()) == "pending":
                found.answered = True
                self._ca.validate(call.argument)
        up = f'<{self._ca.url(f"authorization/{call.argument}")}>;rel="up"'
        return json_reply(self._shown_challenge(call.argument, found), 200, Link=up, **self._wait_header(found))

    def _wait_header(self, authorization: Authorization) -> dict[str, str]:
        waiting = challenge_status(authorization) == "processing"
        seconds = self._ca.settings.retry_after_seconds
        return {"Retry_After": str(seconds)} if waiting and seconds is not None else {}

    def _shown_challenge(self, identifier: str, authorization: Authorization) -> dict[str, object]:
        shown: dict[str, object] = {
            "type": "dns-01",
            "url": self._ca.url(f"challenge/{identifier}"),
            "token": authorization.token,
            "status": challenge_status(authorization),
        }
        if authorization.validated is not None:
            shown["validated"] = rfc3339(authorization.validated)
        problem = authorization.problem or authorization.last_problem
        if problem is not None:
            shown["error"] = problem.document()
        return shown

    def _finalize(self, call: Call) -> Reply:
        order = self._own_order(call)
        if (status := self._ca.database.order_status(order, self._ca.seconds())) != "ready":
            raise Problem("orderNotReady", f"the order is {status}")
        csr = parse_csr(base64_bytes(call.object().get("csr")), order.names)
        chain_pem = self._ca.authority.issue(
            csr, order.names, self._ca.now(), self._ca.settings.profiles[order.profile]
        )
        leaf = x509.load_pem_x509_certificate(chain_pem)
        order.certificate_id = self._ca.database.certificates.add(
            Certificate(
                call.account_id,
                chain_pem,
                leaf.serial_number,
                leaf.not_valid_before_utc.timestamp(),
                leaf.not_valid_after_utc.timestamp(),
            )
        )
        return self._shown_order(call.argument, 200)


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
