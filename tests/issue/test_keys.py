"""Which algorithm is taken, and what of a CSR is."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.certificates import make_csr, make_key
from nodetrust.issue.errors import Refusal
from nodetrust.issue.keys import MAX_CSR_BYTES, common_cryptos, read_csr
from nodetrust.messages import E_NO_MATCHING_CRYPTO, E_NOT_AUTHORIZED, E_OTHER, ECDSA_P256, ECDSA_P384, RSA

NAMES = ["a.example.org", "b.example.org"]
ALL = (ECDSA_P256, ECDSA_P384, RSA)


def csr(key, names=NAMES, common_name=None, *extensions):
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


class ChooseTests(SynchronousTestCase):
    def test_takes_our_best_that_they_support(self):
        """Our order decides, not theirs."""
        self.assertEqual(common_cryptos(ALL, [RSA, ECDSA_P384]), [ECDSA_P384, RSA])
        self.assertEqual(common_cryptos([RSA, ECDSA_P256], [ECDSA_P256, RSA]), [RSA, ECDSA_P256])

    def test_refuses_without_a_common_one(self):
        """Nothing in common is E_NO_MATCHING_CRYPTO, with what there would be."""
        for theirs in ([], [RSA]):
            refusal = self.assertRaises(Refusal, common_cryptos, [ECDSA_P256], theirs)
            self.assertEqual(refusal.code, E_NO_MATCHING_CRYPTO)
            self.assertIn("ecdsa-p256", str(refusal))


class CsrTests(SynchronousTestCase):
    def refused(self, der, code, offered=ALL):
        refusal = self.assertRaises(Refusal, read_csr, der, offered)
        self.assertEqual(refusal.code, code, refusal)

    def test_reads_ours(self):
        """A CSR of each algorithm gives its names, its algorithm and its key."""
        for crypto in ALL:
            key = make_key(crypto)
            read = read_csr(make_csr(key, NAMES), [crypto])
            self.assertEqual((read.crypto, read.names), (crypto, frozenset(NAMES)))
            self.assertEqual(read.public_key_der[:1], b"\x30")

    def test_names_are_lower_case(self):
        """DNS knows no case, certificates' names are compared in lower case."""
        self.assertEqual(read_csr(csr(make_key(ECDSA_P256), ["A.Example.org"]), ALL).names, {"a.example.org"})

    def test_takes_a_common_name_that_is_among_the_names(self):
        """A CN says nothing new if it is an alternative name, too; any other is refused."""
        key = make_key(ECDSA_P256)
        self.assertEqual(read_csr(csr(key, NAMES, "A.example.org"), ALL).names, frozenset(NAMES))
        self.refused(csr(key, NAMES, "c.example.org"), E_NOT_AUTHORIZED)

    def test_refuses_keys_that_are_not_offered(self):
        """The key's type must be among the offered algorithms."""
        self.refused(csr(make_key(ECDSA_P256)), E_NO_MATCHING_CRYPTO, [RSA])
        self.refused(csr(ec.generate_private_key(ec.SECP521R1())), E_NO_MATCHING_CRYPTO)
        self.refused(csr(ed25519.Ed25519PrivateKey.generate()), E_NO_MATCHING_CRYPTO)

    def test_refuses_weak_rsa(self):
        """RSA keys have 2048 to 4096 bits, and the usual exponent."""
        self.refused(csr(rsa.generate_private_key(65537, 1024)), E_OTHER)
        self.refused(csr(rsa.generate_private_key(3, 2048)), E_OTHER)

    def test_refuses_other_extensions_and_kinds_of_name(self):
        """A CSR asks for DNS names and for nothing else."""
        key = make_key(ECDSA_P256)
        self.refused(csr(key, NAMES, None, x509.BasicConstraints(True, None)), E_NOT_AUTHORIZED)
        mail = x509.SubjectAlternativeName([x509.RFC822Name("root@example.org")])
        self.refused(csr(key, [], None, mail), E_NOT_AUTHORIZED)
        self.refused(csr(key, []), E_OTHER)

    def test_refuses_a_wrong_signature(self):
        """Whoever asks must have the key: the CSR's own signature is checked."""
        der = bytearray(csr(make_key(RSA)))
        der[-1] ^= 1
        self.refused(bytes(der), E_OTHER)

    def test_refuses_what_is_too_large(self):
        """The size is looked at before anything else."""
        self.refused(b"\x30" * (MAX_CSR_BYTES + 1), E_OTHER)

    @given(st.binary(max_size=600), st.integers(0, 400), st.integers(0, 255))
    def test_garbage_is_refused(self, garbage, position, value):
        """Whatever comes is a CSR or a refusal: no other exception."""
        damaged = bytearray(VALID)
        damaged[position % len(damaged)] = value
        for der in (garbage, bytes(damaged)):
            try:
                read_csr(der, ALL)
            except Refusal as refusal:
                self.assertIn(refusal.code, (E_OTHER, E_NOT_AUTHORIZED, E_NO_MATCHING_CRYPTO))


VALID = csr(make_key(ECDSA_P256))
