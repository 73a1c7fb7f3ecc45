"""The development CA as somebody else's client finds it: the blocking client of the `acme` package, on a thread."""

from pathlib import Path

import josepy
import requests
from acme import challenges, client, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from nodetrust.acme import Dns01Record
from nodetrust.testing.ca import CASettings, DevelopmentCA
from tests.acme.support import csr
from tests.acme.test_e2e import ScriptedDns

NAMES = ["a.nt.example", "*.a.nt.example"]


class OtherClientTests(TestCase):
    """An order, a download and a revocation."""

    timeout = 300

    async def test_order(self) -> None:
        """The other client registers, orders, proves, downloads and revokes; it checks every answer in its own way."""
        dns = ScriptedDns()
        address = dns.listen()
        self.addCleanup(lambda: Deferred.fromCoroutine(dns.stop()))
        ca = DevelopmentCA(reactor, Path(self.mktemp()), address, settings=CASettings(bad_nonce_rate=0))
        url = await ca.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(ca.stop()))
        issued = await deferToThread(self._order, url, ca.root_pem_path, dns)
        leaf, intermediate = x509.load_pem_x509_certificates(issued.encode())
        leaf.verify_directly_issued_by(intermediate)

    def _order(self, url: str, root: Path, dns: ScriptedDns) -> str:
        key = josepy.JWKRSA(key=rsa.generate_private_key(65537, 2048))
        network = client.ClientNetwork(key, verify_ssl=False)
        network.session = requests.Session()
        network.verify_ssl = str(root)
        self.addCleanup(network.session.close)
        other = client.ClientV2(client.ClientV2.get_directory(url, network), network)
        other.new_account(messages.NewRegistration.from_data(email="a@nt.example", terms_of_service_agreed=True))
        pem = x509.load_der_x509_csr(csr(NAMES)).public_bytes(serialization.Encoding.PEM)
        order = other.new_order(pem)
        for authorization in order.authorizations:
            (body,) = authorization.body.challenges
            self.assertIsInstance(body.chall, challenges.DNS01)
            response, value = body.response_and_validation(key)
            record = Dns01Record(authorization.body.identifier.value, value)
            dns.values.setdefault(record.record_name, set()).add(value)
            other.answer_challenge(body, response)
        done = other.poll_and_finalize(order)
        other.revoke(x509.load_pem_x509_certificate(done.fullchain_pem.encode()), 0)
        return done.fullchain_pem
