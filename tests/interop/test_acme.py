"""Our ACME client against Pebble, Let's Encrypt's own test CA, in its strict mode."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from nodetrust.acme import (
    AcmeAccountRefused,
    AcmeAlreadyRevoked,
    AcmeBindingRefused,
    AcmeClient,
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeRefused,
    AcmeUsageError,
    AcmeUserActionRequired,
    AcmeValidationFailed,
    Deadline,
    ExternalAccount,
    IssuedCertificate,
    PlacedOrder,
    ari_id,
    certificate_key_from_pem,
    complete,
    generate_account_key,
    obtain,
    persist_value,
    replaces,
    wire,
)
from nodetrust.acme.certificate import top_issuer
from tests.acme.scripted_dns import ScriptedDns
from tests.interop.harness import InteropTestCase
from tests.interop.pebble import PROFILES, Pebble

REACTOR: Any = reactor
NAMES = ("ip41-2-3-4.nodetrust.test", "pabc.nodetrust.test", "*.pabc.nodetrust.test")
ISSUER = "ca.nodetrust.test"
ORDER_SECONDS = 60
BINDING = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")


def make_key_pem() -> bytes:
    """A new private key for a certificate."""
    return ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def csr(names: Sequence[str], key_pem: bytes) -> bytes:
    """DER of a CSR for these names."""
    key = serialization.load_pem_private_key(key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    names_of = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names_of, False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def soon() -> Deadline:
    """For one request or a few."""
    return Deadline(REACTOR, ORDER_SECONDS)


class AcmeCase(InteropTestCase):
    """A Pebble and a DNS server for one test, which starts the Pebble as it wants it."""

    def setUp(self) -> None:
        super().setUp()
        self.dns = ScriptedDns()
        host, port = self.dns.listen()
        self.dns_server = f"{host}:{port}"
        self.addCleanup(lambda: Deferred.fromCoroutine(self.dns.stop()))
        self.key_pem = make_key_pem()
        self.publications = 0

    async def start(self, settings: dict[str, Any] | None = None, /, **environment: str) -> Pebble:
        """A Pebble with settings of its own, and with further variables, without their prefix."""
        pebble = Pebble()
        self.addCleanup(lambda: Deferred.fromCoroutine(pebble.stop()))
        variables = {f"PEBBLE_{name}": value for name, value in environment.items()}
        merged = {"caaIdentities": [ISSUER], **(settings or {})}
        folder = Path(self.mktemp())
        await pebble.start(self.tools.pebble, folder, self.dns_server, environment=variables, settings=merged)
        return pebble

    def client(self, pebble: Pebble, **options: Any) -> AcmeClient:
        """A client with a new account, unless `options` say another."""
        key = options.pop("account_key", None) or generate_account_key()
        root = pebble.https_root.read_bytes()
        client = AcmeClient(REACTOR, pebble.directory, key, trust_root_pem=root, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(client.close()))
        return client

    async def publish(self, records: Sequence[Any]) -> None:
        self.publications += 1
        await self.dns.publish(records)

    async def obtained(self, client: AcmeClient, names: Sequence[str] = NAMES, **options: Any) -> IssuedCertificate:
        csr_der = csr(names, self.key_pem)
        seconds = options.pop("timeout_seconds", ORDER_SECONDS)
        return await obtain(client, names, csr_der, self.publish, self.dns.withdraw, timeout_seconds=seconds, **options)

    async def completed(self, client: AcmeClient, order: PlacedOrder | str, **options: Any) -> IssuedCertificate:
        csr_der = csr(NAMES, self.key_pem)
        defaults: dict[str, Any] = {"publish": self.publish, "withdraw": self.dns.withdraw, "timeout_seconds": 30}
        return await complete(client, order, NAMES, csr_der, **{**defaults, **options})

    async def assert_raises(self, kind: type[Exception], work: Any) -> Any:
        """The error of this kind that the coroutine ends in."""
        return await self.assertFailure(Deferred.fromCoroutine(work), kind)


class AccountTests(AcmeCase):
    """RFC 8555 §7.3."""

    async def test_found_by_its_key(self) -> None:
        """No account is made by looking for it, and the same key finds it again."""
        pebble = await self.start()
        client = self.client(pebble)
        self.assertIsNone(await client.find_account(soon()))
        url = await client.register(soon())
        again = self.client(pebble, account_key=client.account_key)
        self.assertEqual(await again.find_account(soon()), url)

    async def test_terms(self) -> None:
        """The directory tells where the terms are; without agreement there is no account, and the error says where."""
        client = self.client(await self.start(), agree_to_terms=False)
        terms = (await client.directory(soon())).terms_of_service
        self.assertTrue(terms)
        error = await self.assert_raises(AcmeUserActionRequired, client.register(soon()))
        self.assertIn(terms, str(error))

    async def test_contact(self) -> None:
        """Contacts can be changed; what the CA does not take is refused in its own words."""
        client = self.client(await self.start(), contact=["mailto:a@nodetrust.test"])
        self.assertEqual((await client.account(soon())).contact, ("mailto:a@nodetrust.test",))
        changed = await client.update_contact(["mailto:b@nodetrust.test"], soon())
        self.assertEqual(changed.contact, ("mailto:b@nodetrust.test",))
        self.assertEqual((await client.account(soon())).contact, ("mailto:b@nodetrust.test",))
        await self.assert_raises(AcmeAccountRefused, client.update_contact(["tel:123"], soon()))

    async def test_deactivation(self) -> None:
        """A deactivated account orders nothing, and cannot be had again with its key."""
        client = self.client(await self.start())
        await client.register(soon())
        await client.deactivate(soon())
        await self.assert_raises(AcmeRefused, client.new_order(NAMES, soon()))
        await self.assert_raises(AcmeAccountRefused, client.register(soon()))

    async def test_external_account(self) -> None:
        """With the binding that the CA gave out there is an account; without, and with a wrong one, there is none."""
        required = {"externalAccountBindingRequired": True, "externalAccountMACKeys": dict([BINDING])}
        pebble = await self.start(required)
        client = self.client(pebble, external_account=ExternalAccount.parse(*BINDING))
        self.assertTrue((await client.directory(soon())).external_account_required)
        await self.obtained(client)
        await self.assert_raises(AcmeBindingRefused, self.client(pebble).register(soon()))
        for kid, key in (("kid-1", "AAAA"), ("kid-2", BINDING[1])):
            wrong = self.client(pebble, external_account=ExternalAccount.parse(kid, key))
            await self.assert_raises(AcmeAccountRefused, wrong.register(soon()))

    async def test_key_rollover(self) -> None:
        """The new key has the account, and orders in its name; the old one has nothing."""
        pebble = await self.start()
        client = self.client(pebble)
        url, old = await client.register(soon()), client.account_key
        new = generate_account_key()
        await client.change_key(new, soon())
        self.assertEqual((client.account_key, client.account_url), (new, url))
        await self.obtained(client)
        self.assertIsNone(await self.client(pebble, account_key=old).find_account(soon()))

    async def test_key_rollover_after_a_crash(self) -> None:
        """Whoever does not know whether the CA has the new key changes it again, with or without the account's URL."""
        pebble = await self.start()
        client = self.client(pebble)
        url, old, new = await client.register(soon()), client.account_key, generate_account_key()
        await client.change_key(new, soon())
        for known in (url, None):
            later = self.client(pebble, account_key=old, account_url=known)
            await later.change_key(new, soon())
            self.assertEqual((later.account_key, later.account_url), (new, url))
            await later.account(soon())

    async def test_key_of_another_account(self) -> None:
        """A key that has an account of its own is refused, and everything stays as it was."""
        pebble = await self.start()
        client, other = self.client(pebble), self.client(pebble)
        await client.register(soon())
        await other.register(soon())
        before = client.account_key
        await self.assert_raises(AcmeAccountRefused, client.change_key(other.account_key, soon()))
        self.assertEqual(client.account_key, before)
        await client.account(soon())


class OrderTests(AcmeCase):
    """RFC 8555 §7.4: orders in a later life, what is refused, and what may be wished for."""

    async def test_taken_up_at_every_status(self) -> None:
        """pending, ready, finalized, valid: each ends in a certificate, and nothing is ordered anew."""
        pebble = await self.start(AUTHZREUSE="100")
        client = self.client(pebble)
        later = self.client(pebble, account_key=client.account_key)
        pending = await client.new_order(NAMES, soon())
        self.assertEqual(pending.body.status, messages.STATUS_PENDING)
        await self.completed(later, pending.url)
        self.assertEqual(self.publications, 1)
        ready = await client.new_order(NAMES, soon())
        self.assertEqual((await later.order(ready.url, soon())).body.status, messages.STATUS_READY)
        first = await self.completed(later, ready.url)
        self.assertEqual((await later.order(ready.url, soon())).body.status, messages.STATUS_VALID)
        self.assertEqual(await self.completed(self.client(pebble, account_key=client.account_key), ready.url), first)
        begun = await client.new_order(NAMES, soon())
        await client.post(str(begun.body.finalize), wire.finalize(csr(NAMES, self.key_pem)), soon())
        await self.completed(later, begun.url)
        self.assertEqual(self.publications, 1)
        orders = [line for line in pebble.printed().splitlines() if "Issued certificate serial" in line]
        self.assertEqual(len(orders), 3, pebble.printed())

    async def test_another_key(self) -> None:
        """An order that was finalized with a key that is gone is lost."""
        client = self.client(await self.start())
        order = await client.new_order(NAMES, soon())
        await self.completed(client, order)
        self.key_pem = make_key_pem()
        await self.assert_raises(AcmeOrderLost, self.completed(client, order.url))

    async def test_validation_in_progress(self) -> None:
        """An order whose challenges the CA was told of is waited for: Pebble refuses to be told twice."""
        pebble = await self.start(VA_NOSLEEP="0", VA_SLEEPTIME="3")
        client = self.client(pebble)
        order = await client.new_order(NAMES, soon())

        async def killed(_: Sequence[Any]) -> None:
            """Who is killed withdraws nothing."""

        running = Deferred.fromCoroutine(self.completed(client, order, withdraw=killed))
        while not self.publications:
            await deferLater(REACTOR, 0.02)
        await deferLater(REACTOR, 0.3)
        running.cancel()
        await self.assertFailure(running, CancelledError)
        await self.completed(self.client(pebble, account_key=client.account_key), order.url)

    async def test_found_without_its_url(self) -> None:
        """An order is found in the account's list, over several pages, by its names; none that is finalized is."""
        client = self.client(await self.start(AUTHZREUSE="100"))
        self.assertIsNone(await client.find_order(NAMES, soon()))
        await self.completed(client, await client.new_order(NAMES, soon()))
        self.assertIsNone(await client.find_order(NAMES, soon()))
        placed = await client.new_order(NAMES, soon())
        for number in range(5):
            await client.new_order((f"ip41-2-3-{number}.nodetrust.test",), soon())
        found = await client.find_order(tuple(reversed(NAMES)), soon())
        assert found is not None
        self.assertEqual(found.url, placed.url)
        self.assertIsNone(await client.find_order(NAMES, soon(), besides={placed.url}))

    async def test_pebble_forgets(self) -> None:
        """A Pebble that was started again knows neither account nor order: both are made again."""
        client = self.client(await self.start())
        order = await client.new_order(NAMES, soon())
        again = self.client(await self.start(), account_key=client.account_key, account_url=None)
        url = order.url.replace(str(client.origin), str(again.origin))
        await self.assert_raises(AcmeOrderLost, self.completed(again, url))
        await self.obtained(again)

    async def test_refused_name(self) -> None:
        """A name that the CA will not sign is refused by name."""
        client = self.client(await self.start({"domainBlocklist": ["blocked.test"]}))
        error = await self.assert_raises(AcmeRefused, self.obtained(client, ("a.blocked.test", NAMES[0])))
        self.assertEqual(error.kind, "rejectedIdentifier")
        self.assertIn("blocked.test", str(error))
        self.assertEqual(self.publications, 0)

    async def test_profiles(self) -> None:
        """Each profile of the directory is to be had, and one that is not there is not asked for."""
        client = self.client(await self.start())
        for name, profile in PROFILES.items():
            issued = await self.obtained(client, profile=name)
            lifetime = (issued.not_after - issued.not_before).total_seconds()
            self.assertIn(int(str(profile["validityPeriod"])) - lifetime, (0, 1))
        await self.assert_raises(AcmeUsageError, self.obtained(client, profile="classic"))

    async def test_alternate_chains(self) -> None:
        """Each of three roots' chains is to be had by the root's name; one that is not there leaves the usual one."""
        pebble = await self.start(ALTERNATE_ROOTS="2", CHAIN_LENGTH="2")
        client = self.client(pebble)
        roots = [x509.load_pem_x509_certificate(await pebble.root(number)) for number in range(3)]
        names = [str(root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) for root in roots]
        self.assertEqual(len(set(names)), 3)
        for name, root in zip(names, roots, strict=True):
            issued = await self.obtained(client, chain=name)
            *_, last = x509.load_pem_x509_certificates(issued.chain_pem)
            last.verify_directly_issued_by(root)
        self.assertEqual(top_issuer(await self.obtained(client, chain="No Such Root")), names[0])


class PersistTests(AcmeCase):
    """dns-persist-01."""

    async def test_nothing_is_published(self) -> None:
        """Where the zone names the account, an order writes nothing, wildcards included."""
        client = self.client(await self.start(AUTHZREUSE="0"))
        self.name_account(await client.register(soon()))
        await self.obtained(client, challenge="dns-persist-01")
        self.assertEqual(self.publications, 0)

    async def test_until(self) -> None:
        """A record that ends is good until then."""
        client = self.client(await self.start(AUTHZREUSE="0"))
        account_url = await client.register(soon())
        for hours, kind in ((1, None), (-1, AcmeValidationFailed)):
            self.dns.values.clear()
            self.name_account(account_url, until=datetime.now(UTC) + timedelta(hours=hours))
            order = self.obtained(client, challenge="dns-persist-01")
            await (order if kind is None else self.assert_raises(kind, order))

    async def test_zone_without_our_account(self) -> None:
        """A zone that names another account, or none, or forbids wildcards, is a failed validation that says so."""
        client = self.client(await self.start(AUTHZREUSE="0"))
        account_url = await client.register(soon())
        for account, wildcard in ((None, True), (f"{account_url}0", True), (account_url, False)):
            self.dns.values.clear()
            if account is not None:
                self.name_account(account, wildcard=wildcard)
            await self.assert_raises(AcmeValidationFailed, self.obtained(client, challenge="dns-persist-01"))

    def name_account(self, account_url: str, **options: Any) -> None:
        """Have the zone let this account order."""
        for name in {name.removeprefix("*.") for name in NAMES}:
            self.dns.values[f"_validation-persist.{name}"] = {persist_value(ISSUER, account_url, **options)}


class CertificateTests(AcmeCase):
    """What can be asked about a certificate: renewal (RFC 9773) and revocation (RFC 8555 §7.6)."""

    async def test_renewal_window(self) -> None:
        """The window lies within the certificate's life; the CA can move it, and can talk nonsense."""
        pebble = await self.start()
        client = self.client(pebble)
        issued = await self.obtained(client)
        info = await client.renewal_window(issued.certificate_pem, soon())
        assert info is not None
        self.assertTrue(issued.not_before < info.window.start < info.window.end < issued.not_after)
        self.assertEqual(info.retry_after_seconds, 21_600)
        window = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-03T00:00:00.5Z"}
        await pebble.tell_renewal(issued.certificate_pem, json.dumps({"suggestedWindow": window}))
        moved = await client.renewal_window(issued.certificate_pem, soon())
        assert moved is not None
        self.assertEqual(moved.window.start, datetime(2026, 1, 2, tzinfo=UTC))
        for nonsense in ("{", "{}", '{"suggestedWindow":{"start":"2026-01-02T00:00:00Z"}}', "[]"):
            await pebble.tell_renewal(issued.certificate_pem, nonsense)
            await self.assert_raises(AcmeMisbehaved, client.renewal_window(issued.certificate_pem, soon()))

    async def test_certificate_of_another_ca(self) -> None:
        """A certificate that the CA does not know has no window, and to say that it is replaced does no harm."""
        issued = await self.obtained(self.client(await self.start()))
        client = self.client(await self.start())
        self.assertIsNone(await client.renewal_window(issued.certificate_pem, soon()))
        await self.obtained(client, replaces=ari_id(issued.certificate_pem))

    async def test_replaces(self) -> None:
        """A renewal says what it replaces, which the CA notes; said twice, the second order goes without."""
        pebble = await self.start()
        client = self.client(pebble)
        issued = await self.obtained(client)
        replaced = replaces(issued.certificate_pem, client.now())
        assert replaced is not None
        for _ in range(2):
            await self.obtained(client, replaces=replaced)
        noted = [line for line in pebble.printed().splitlines() if "is a replacement of" in line]
        self.assertEqual(len(noted), 1, pebble.printed())

    async def test_revocation(self) -> None:
        """The account revokes, and so does the certificate's key, in no one's name; a second time is told apart."""
        client = self.client(await self.start())
        certificate_key = certificate_key_from_pem(self.key_pem)
        for key in (None, certificate_key):
            issued = await self.obtained(client)
            await client.revoke(issued.certificate_pem, soon(), reason=1, key=key)
            again = client.revoke(issued.certificate_pem, soon(), key=key)
            await self.assert_raises(AcmeAlreadyRevoked, again)
            info = await client.renewal_window(issued.certificate_pem, soon())
            assert info is not None
            self.assertLess(info.window.start, datetime.now(UTC))

    async def test_revocation_by_others(self) -> None:
        """Another account, another key and a wrong reason are refused."""
        pebble = await self.start()
        client, stranger = self.client(pebble), self.client(pebble)
        issued = await self.obtained(client)
        other_key = certificate_key_from_pem(make_key_pem())
        await self.assert_raises(AcmeRefused, stranger.revoke(issued.certificate_pem, soon()))
        await self.assert_raises(AcmeRefused, client.revoke(issued.certificate_pem, soon(), key=other_key))
        error = await self.assert_raises(AcmeRefused, client.revoke(issued.certificate_pem, soon(), reason=7))
        self.assertEqual(error.kind, "badRevocationReason")
        await client.revoke(issued.certificate_pem, soon(), reason=4)


class ManyOrdersTests(AcmeCase):
    """Many orders at once, of a CA that refuses good nonces and takes its time to validate."""

    timeout = 300

    async def order(self, pebble: Pebble, orders: int) -> None:
        """That many orders at once, some of whose names are the same."""
        client = self.client(pebble)
        names = [(f"ip41-2-3-{number % 40}.nodetrust.test", f"p{number}.nodetrust.test") for number in range(orders)]
        running = [Deferred.fromCoroutine(self.obtained(client, some, timeout_seconds=200)) for some in names]
        for some, one in zip(names, running, strict=True):
            self.assertEqual((await one).names, some)

    async def test_authorizations_never_reused(self) -> None:
        """Every name is proved anew."""
        slow = {"VA_NOSLEEP": "0", "VA_SLEEPTIME": "3"}
        await self.order(await self.start(WFE_NONCEREJECT="50", AUTHZREUSE="0", **slow), 100)

    async def test_authorizations_always_reused(self) -> None:
        """What was proved is not asked for again."""
        slow = {"VA_NOSLEEP": "0", "VA_SLEEPTIME": "3"}
        await self.order(await self.start(WFE_NONCEREJECT="50", AUTHZREUSE="100", **slow), 100)

    async def test_at_its_worst(self) -> None:
        """Nine nonces in ten refused, some authorizations reused, long chains and several roots."""
        worst = {"WFE_NONCEREJECT": "90", "AUTHZREUSE": "50", "CHAIN_LENGTH": "3", "ALTERNATE_ROOTS": "2"}
        await self.order(await self.start(**worst), 20)
