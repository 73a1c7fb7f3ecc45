"""`AcmeClient`: all that one account can ask of one CA; here, what is asked about certificates."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from josepy.jwk import JWK

from nodetrust.acme import wire
from nodetrust.acme.certificate import ari_id
from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import AcmeOrderLost, AcmeRefused, AcmeUsageError
from nodetrust.acme.links import linked
from nodetrust.acme.orders import OrderClient, PlacedOrder
from nodetrust.acme.renewal import RenewalInfo, check_again_after
from nodetrust.acme.requests import Signer
from nodetrust.acme.retries import parse_retry_after

CHAIN_TYPE = "application/pem-certificate-chain"


class AcmeClient(OrderClient):
    """One account at one CA. `AccountClient` explains how it is made."""

    async def download(self, order: PlacedOrder, deadline: Deadline) -> tuple[bytes, tuple[str, ...]]:
        """The chain of a `valid` order, PEM as it came, unchecked, and the URLs of others. RFC 8555 §7.4.2."""
        url = self.origin.check(order.body.certificate)
        answer = await self.post(url, b"", deadline, accept=CHAIN_TYPE)
        return answer.body, linked(answer.links, "alternate", url, self.origin)

    async def download_alternate(self, url: str, deadline: Deadline) -> bytes:
        """Another chain for the same certificate, PEM as it came, unchecked."""
        return (await self.post(url, b"", deadline, accept=CHAIN_TYPE)).body

    async def renewal_window(self, certificate_pem: bytes, deadline: Deadline) -> RenewalInfo | None:
        """When the CA wants this certificate renewed, and when to ask again; None where the CA has no opinion.

        As one that does not do ARI, and one that does not know the certificate. RFC 9773 §4.
        """
        directory = await self.directory(deadline)
        if directory.renewal_info is None:
            return None
        try:
            answer = await self.get(f"{directory.renewal_info.rstrip('/')}/{ari_id(certificate_pem)}", deadline)
        except (AcmeOrderLost, AcmeRefused):
            return None
        asked = parse_retry_after(answer.retry_after, self.now(), answer.date)
        return RenewalInfo(wire.parse_renewal_window(answer.body), check_again_after(asked))

    async def revoke(
        self, certificate_pem: bytes, deadline: Deadline, *, reason: int | None = None, key: JWK | None = None
    ) -> None:
        """Revoke a certificate, in the account's name or signed by the certificate's own `key`. RFC 8555 §7.6.

        `reason` is a CRLReason of RFC 5280 §5.3.1; 1 is keyCompromise. `AcmeAlreadyRevoked`: it was done before.
        """
        directory = await self.directory(deadline)
        if directory.revoke_cert is None:
            raise AcmeUsageError("the CA cannot revoke certificates")
        try:
            der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
        except ValueError as error:
            raise AcmeUsageError("what shall be revoked is no PEM certificate") from error
        payload = wire.revocation(der, reason)
        if key is None:
            await self.post(directory.revoke_cert, payload, deadline)
        else:
            await self.send(directory.revoke_cert, payload, Signer(key), deadline)
