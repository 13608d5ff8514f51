#!/usr/bin/python3
"""Makes the certificates of this folder: python3 make.py. All are of the realm EXAMPLE.ORG, valid from
2026-01-01 to 2126-01-01 unless their names say otherwise, and good for nothing but tests."""
import datetime
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

REALM = "EXAMPLE.ORG"
CLIENT, KDC = "1.3.6.1.5.2.3.4", "1.3.6.1.5.2.3.5"
SCLOGON, TLS_CLIENT, TLS_SERVER = "1.3.6.1.4.1.311.20.2.2", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
START, END = datetime.datetime(2026, 1, 1), datetime.datetime(2126, 1, 1)


def tlv(tag, *parts):
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else b"\x81" + bytes([len(body)])
    return bytes([tag]) + length + body


def text(value):
    return tlv(0x1B, value.encode())


def principal(*parts, realm=REALM, kind=1):
    names = tlv(0x30, *map(text, parts))
    name = tlv(0x30, tlv(0xA0, tlv(2, bytes([kind]))), tlv(0xA1, names))
    der = tlv(0x30, tlv(0xA0, text(realm)), tlv(0xA1, name))
    return x509.OtherName(ObjectIdentifier("1.3.6.1.5.2.2"), der)


def upn(value):
    return x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), tlv(0x0C, value.encode()))


def name(value):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, REALM), x509.NameAttribute(NameOID.COMMON_NAME, value)])


def new_key(kind):
    curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
    return ec.generate_private_key(curves[kind]()) if kind in curves else rsa.generate_private_key(65537, kind)


def write(file, pem, mode="wb"):
    with open(file, mode) as out:
        out.write(pem)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def usage(**bits):
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: bits.get(bit, False) for bit in names})


def authority(file, called, kind, issuer=None, length=None):
    key = new_key(kind)
    signer, above = issuer[:2] if issuer else (key, name(called))
    builder = x509.CertificateBuilder().subject_name(name(called)).issuer_name(above if issuer is None else above)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(START).not_valid_after(END)
    builder = builder.add_extension(x509.BasicConstraints(True, length), True)
    builder = builder.add_extension(usage(key_cert_sign=True, crl_sign=True), True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    certificate = builder.sign(signer, hashes.SHA256())
    write(file + ".crt", pem(certificate))
    return key, name(called), certificate


def leaf(file, issuer, names, purposes=(CLIENT,), kind=2048, start=START, end=END, hash=hashes.SHA256(), bits=None,
         subject=None, chain=b"", store=True):
    key = new_key(kind)
    builder = x509.CertificateBuilder().subject_name(name(subject or file)).issuer_name(issuer[1])
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(False, None), True)
    builder = builder.add_extension(bits or usage(digital_signature=True), True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(map(ObjectIdentifier, purposes)), False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    certificate = builder.sign(issuer[0], hash)
    if store:
        write(file + ".pem", pem(certificate) + chain + key_pem(key))
    return key, certificate


ca = authority("ca", "Authority", 2048)
tgs = [principal("krbtgt", REALM, kind=2)]
alice = [principal("alice")]
leaf("kdc", ca, tgs, (KDC,))
leaf("kdc-p256", ca, tgs, (KDC,), "p256")
leaf("kdc-by-host", ca, [x509.DNSName("kdc.example.org")], (KDC,))
leaf("kdc-by-host-server", ca, [x509.DNSName("kdc.example.org")], (TLS_SERVER,))
leaf("kdc-of-other-realm", ca, [principal("krbtgt", "OTHER.ORG", realm="OTHER.ORG", kind=2)], (KDC,))
alice_key, alice_certificate = leaf("alice", ca, alice)
for curve in "p256", "p384", "p521":
    leaf("alice-" + curve, ca, alice, kind=curve)
leaf("alice-smartcard", ca, alice, (SCLOGON,))
leaf("alice-upn", ca, [upn("alice@example.org")], (SCLOGON,))
leaf("alice-tls", ca, alice, (TLS_CLIENT,))
leaf("alice-no-purpose", ca, alice, ())
leaf("alice-encipher", ca, alice, bits=usage(key_encipherment=True))
leaf("alice-expired", ca, alice, end=datetime.datetime(2026, 2, 1))
leaf("alice-future", ca, alice, start=datetime.datetime(2100, 1, 1))
# An hour after the time of the tests in memory.
leaf("alice-soon", ca, alice, end=datetime.datetime(2027, 1, 15, 9))
leaf("alice-sha1", ca, alice, hash=hashes.SHA1())
leaf("alice-rsa1024", ca, alice, kind=1024)
leaf("alice-nameless", ca, [])
_, revoked = leaf("alice-revoked", ca, alice)
leaf("bob", ca, [principal("bob")])
leaf("alice-elsewhere", ca, [principal("alice", realm="OTHER.ORG")])
svid = [x509.UniformResourceIdentifier("spiffe://example.org/ns/shop/sa/orders")]
leaf("svid", ca, svid, (TLS_CLIENT, TLS_SERVER), "p256")
between = authority("between", "Between", "p256", ca, 0)
leaf("alice-chain", between, alice, chain=pem(between[2]))
leaf("alice-chainless", between, alice)
other = authority("other-ca", "Authority", "p256")
leaf("alice-other-ca", other, alice)
unknown = authority("unknown-ca", "Unknown", "p256")
leaf("alice-unknown-ca", unknown, alice)
# A name longer than anything that has to be.
long = (new_key("p256"), x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 60)] * 800))
leaf("alice-long-issuer", long, alice)

crl = x509.CertificateRevocationListBuilder().issuer_name(ca[1]).last_update(START).next_update(END)
entry = x509.RevokedCertificateBuilder().serial_number(revoked.serial_number).revocation_date(START).build()
crl = crl.add_extension(x509.CRLNumber(1), False).add_revoked_certificate(entry).sign(ca[0], hashes.SHA256())
write("ca.crl", crl.public_bytes(serialization.Encoding.PEM))
old = x509.CertificateRevocationListBuilder().issuer_name(ca[1]).last_update(START)
old = old.next_update(datetime.datetime(2026, 2, 1)).add_extension(x509.CRLNumber(1), False).sign(ca[0], hashes.SHA256())
write("ca-old.crl", old.public_bytes(serialization.Encoding.PEM))

for file, secret in ("alice-open.p12", ""), ("alice.p12", "secret"):
    subprocess.run(["openssl", "pkcs12", "-export", "-in", "alice.pem", "-certfile", "ca.crt", "-name", "alice", "-out",
                    file, "-passout", "pass:" + secret], check=True)
trad = serialization.PrivateFormat.TraditionalOpenSSL
write("alice-traditional.pem", pem(alice_certificate) + alice_key.private_bytes(
    serialization.Encoding.PEM, trad, serialization.NoEncryption()))
locked = serialization.BestAvailableEncryption(b"secret")
write("alice-locked.pem", pem(alice_certificate) + alice_key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
