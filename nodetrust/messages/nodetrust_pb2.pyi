from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Error(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OK: _ClassVar[Error]
    E_RATE_LIMIT: _ClassVar[Error]
    E_INVALID_PROOF: _ClassVar[Error]
    E_NOT_AUTHORIZED: _ClassVar[Error]
    E_NO_MATCHING_CRYPTO: _ClassVar[Error]
    E_OTHER: _ClassVar[Error]

class Crypto(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RSA: _ClassVar[Crypto]
    ECDSA_P256: _ClassVar[Crypto]
    ECDSA_P384: _ClassVar[Crypto]

class AddressType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IPv4: _ClassVar[AddressType]
    IPv6: _ClassVar[AddressType]

class CheckFault(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILED: _ClassVar[CheckFault]
    NOT_ALLOWED: _ClassVar[CheckFault]
    TIMED_OUT: _ClassVar[CheckFault]
    CONNECTION_REFUSED: _ClassVar[CheckFault]
    TLS_FAILED: _ClassVar[CheckFault]
    NO_LIBP2P: _ClassVar[CheckFault]
    WRONG_PEER: _ClassVar[CheckFault]
OK: Error
E_RATE_LIMIT: Error
E_INVALID_PROOF: Error
E_NOT_AUTHORIZED: Error
E_NO_MATCHING_CRYPTO: Error
E_OTHER: Error
RSA: Crypto
ECDSA_P256: Crypto
ECDSA_P384: Crypto
IPv4: AddressType
IPv6: AddressType
FAILED: CheckFault
NOT_ALLOWED: CheckFault
TIMED_OUT: CheckFault
CONNECTION_REFUSED: CheckFault
TLS_FAILED: CheckFault
NO_LIBP2P: CheckFault
WRONG_PEER: CheckFault

class Address(_message.Message):
    __slots__ = ("type", "address")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    type: AddressType
    address: str
    def __init__(self, type: _Optional[_Union[AddressType, str]] = ..., address: _Optional[str] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("id", "timestamp", "addrs", "issuer", "nonce")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ADDRS_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    timestamp: int
    addrs: _containers.RepeatedCompositeFieldContainer[Address]
    issuer: bytes
    nonce: bytes
    def __init__(self, id: _Optional[bytes] = ..., timestamp: _Optional[int] = ..., addrs: _Optional[_Iterable[_Union[Address, _Mapping]]] = ..., issuer: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class ProofRequest(_message.Message):
    __slots__ = ("issuer", "nonce")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    issuer: bytes
    nonce: bytes
    def __init__(self, issuer: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class ProofWrapper(_message.Message):
    __slots__ = ("proof", "signature")
    PROOF_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    proof: bytes
    signature: bytes
    def __init__(self, proof: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ProofServer(_message.Message):
    __slots__ = ("id", "addrs", "display", "keys")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRS_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    addrs: _containers.RepeatedScalarFieldContainer[bytes]
    display: str
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, id: _Optional[bytes] = ..., addrs: _Optional[_Iterable[bytes]] = ..., display: _Optional[str] = ..., keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProofResponse(_message.Message):
    __slots__ = ("error", "proof", "message")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    error: Error
    proof: ProofWrapper
    message: str
    def __init__(self, error: _Optional[_Union[Error, str]] = ..., proof: _Optional[_Union[ProofWrapper, _Mapping]] = ..., message: _Optional[str] = ...) -> None: ...

class IssueInfo(_message.Message):
    __slots__ = ("domain", "proofs", "cryptos", "nonce", "renewAt", "quorum", "authorities")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    CRYPTOS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    RENEWAT_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    domain: str
    proofs: _containers.RepeatedCompositeFieldContainer[ProofServer]
    cryptos: _containers.RepeatedScalarFieldContainer[Crypto]
    nonce: bytes
    renewAt: int
    quorum: int
    authorities: _containers.RepeatedCompositeFieldContainer[CertificateAuthority]
    def __init__(self, domain: _Optional[str] = ..., proofs: _Optional[_Iterable[_Union[ProofServer, _Mapping]]] = ..., cryptos: _Optional[_Iterable[_Union[Crypto, str]]] = ..., nonce: _Optional[bytes] = ..., renewAt: _Optional[int] = ..., quorum: _Optional[int] = ..., authorities: _Optional[_Iterable[_Union[CertificateAuthority, _Mapping]]] = ...) -> None: ...

class CertificateAuthority(_message.Message):
    __slots__ = ("caaIdentities", "account")
    CAAIDENTITIES_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    caaIdentities: _containers.RepeatedScalarFieldContainer[str]
    account: str
    def __init__(self, caaIdentities: _Optional[_Iterable[str]] = ..., account: _Optional[str] = ...) -> None: ...

class IssueRequest(_message.Message):
    __slots__ = ("proofs", "supportedCryptos", "csr")
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTEDCRYPTOS_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    proofs: _containers.RepeatedCompositeFieldContainer[ProofWrapper]
    supportedCryptos: _containers.RepeatedScalarFieldContainer[Crypto]
    csr: bytes
    def __init__(self, proofs: _Optional[_Iterable[_Union[ProofWrapper, _Mapping]]] = ..., supportedCryptos: _Optional[_Iterable[_Union[Crypto, str]]] = ..., csr: _Optional[bytes] = ...) -> None: ...

class IssueResponse(_message.Message):
    __slots__ = ("error", "cert", "chain", "ca", "key", "cn", "altnames", "validity", "fromCache", "cryptoType", "message", "retryAfter", "renewAt")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CERT_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    CA_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CN_FIELD_NUMBER: _ClassVar[int]
    ALTNAMES_FIELD_NUMBER: _ClassVar[int]
    VALIDITY_FIELD_NUMBER: _ClassVar[int]
    FROMCACHE_FIELD_NUMBER: _ClassVar[int]
    CRYPTOTYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYAFTER_FIELD_NUMBER: _ClassVar[int]
    RENEWAT_FIELD_NUMBER: _ClassVar[int]
    error: Error
    cert: bytes
    chain: bytes
    ca: bytes
    key: bytes
    cn: str
    altnames: _containers.RepeatedScalarFieldContainer[str]
    validity: int
    fromCache: bool
    cryptoType: Crypto
    message: str
    retryAfter: int
    renewAt: int
    def __init__(self, error: _Optional[_Union[Error, str]] = ..., cert: _Optional[bytes] = ..., chain: _Optional[bytes] = ..., ca: _Optional[bytes] = ..., key: _Optional[bytes] = ..., cn: _Optional[str] = ..., altnames: _Optional[_Iterable[str]] = ..., validity: _Optional[int] = ..., fromCache: bool = ..., cryptoType: _Optional[_Union[Crypto, str]] = ..., message: _Optional[str] = ..., retryAfter: _Optional[int] = ..., renewAt: _Optional[int] = ...) -> None: ...

class DNS01Request(_message.Message):
    __slots__ = ("fqdn", "value", "remove")
    FQDN_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    fqdn: str
    value: str
    remove: bool
    def __init__(self, fqdn: _Optional[str] = ..., value: _Optional[str] = ..., remove: bool = ...) -> None: ...

class DNS01Response(_message.Message):
    __slots__ = ("error", "message")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    error: Error
    message: str
    def __init__(self, error: _Optional[_Union[Error, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Announce(_message.Message):
    __slots__ = ("addr", "peer")
    ADDR_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    addr: _containers.RepeatedScalarFieldContainer[bytes]
    peer: bytes
    def __init__(self, addr: _Optional[_Iterable[bytes]] = ..., peer: _Optional[bytes] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("addrs",)
    ADDRS_FIELD_NUMBER: _ClassVar[int]
    addrs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, addrs: _Optional[_Iterable[bytes]] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("addr", "reachable", "fault", "message")
    ADDR_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    addr: bytes
    reachable: bool
    fault: CheckFault
    message: str
    def __init__(self, addr: _Optional[bytes] = ..., reachable: bool = ..., fault: _Optional[_Union[CheckFault, str]] = ..., message: _Optional[str] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("error", "results", "message", "retryAfter")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYAFTER_FIELD_NUMBER: _ClassVar[int]
    error: Error
    results: _containers.RepeatedCompositeFieldContainer[CheckResult]
    message: str
    retryAfter: int
    def __init__(self, error: _Optional[_Union[Error, str]] = ..., results: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ..., message: _Optional[str] = ..., retryAfter: _Optional[int] = ...) -> None: ...
