//! How the agreed secret becomes the reply key (RFC 4556 3.2.3.1, RFC 8636 6).

use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::codes::EncryptionType;
use crate::crypto::{Key, key_len, sha1};
use crate::error::Result;
use crate::name::Principal;
use crate::wire::{self, AlgorithmIdentifier, KdfAlgorithmId, Krb5PrincipalName, Oid, OtherInfo, PkinitSuppPubInfo};

/// A key derivation function of RFC 8636.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// id-pkinit-kdf-ah-sha256
    Sha256,
    /// id-pkinit-kdf-ah-sha384
    Sha384,
    /// id-pkinit-kdf-ah-sha512
    Sha512,
    /// id-pkinit-kdf-ah-sha1: nothing that RFC 4556 did not have, but bound to the exchange.
    Sha1,
}

impl Kdf {
    /// All of them, most wanted first.
    pub const ALL: [Kdf; 4] = [Kdf::Sha512, Kdf::Sha384, Kdf::Sha256, Kdf::Sha1];

    /// Its identifier, for the wire.
    pub fn id(self) -> KdfAlgorithmId<'static> {
        KdfAlgorithmId {
            id: Oid(match self {
                Kdf::Sha1 => &[0x2b, 6, 1, 5, 2, 3, 6, 1],
                Kdf::Sha256 => &[0x2b, 6, 1, 5, 2, 3, 6, 2],
                Kdf::Sha512 => &[0x2b, 6, 1, 5, 2, 3, 6, 3],
                Kdf::Sha384 => &[0x2b, 6, 1, 5, 2, 3, 6, 4],
            }),
        }
    }

    /// What it is made of, in words.
    pub fn name(self) -> &'static str {
        match self {
            Kdf::Sha1 => "with SHA-1 (RFC 8636)",
            Kdf::Sha256 => "with SHA-256 (RFC 8636)",
            Kdf::Sha384 => "with SHA-384 (RFC 8636)",
            Kdf::Sha512 => "with SHA-512 (RFC 8636)",
        }
    }

    /// The function of an identifier.
    pub fn of(id: &KdfAlgorithmId<'_>) -> Option<Kdf> {
        Kdf::ALL.into_iter().find(|kdf| kdf.id().id == id.id)
    }

    fn hash(self, parts: [&[u8]; 3]) -> Zeroizing<Vec<u8>> {
        fn of<D: Digest>(parts: [&[u8]; 3]) -> Vec<u8> {
            parts.iter().fold(D::new(), |hash, part| hash.chain_update(part)).finalize().to_vec()
        }
        Zeroizing::new(match self {
            Kdf::Sha1 => sha1(&parts).to_vec(),
            Kdf::Sha256 => of::<Sha256>(parts),
            Kdf::Sha384 => of::<Sha384>(parts),
            Kdf::Sha512 => of::<Sha512>(parts),
        })
    }
}

/// What a reply key is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The reply key's enctype.
    pub etype: EncryptionType,
    /// The client, as the request names it.
    pub client: &'a Principal,
    /// The server, as the request names it.
    pub server: &'a Principal,
    /// The AS-REQ as it was sent.
    pub request: &'a [u8],
    /// The PA-PK-AS-REP as it was sent.
    pub reply: &'a [u8],
}

impl Binding<'_> {
    /// The reply key of a shared secret; without a function of RFC 8636 as RFC 4556 says.
    ///
    /// # Errors
    /// [`crate::Error::EtypeNotSupported`].
    pub fn reply_key(&self, secret: &[u8], kdf: Option<Kdf>) -> Result<Key> {
        match kdf {
            Some(kdf) => self.derive(secret, kdf),
            None => octetstring2key(self.etype, secret),
        }
    }

    fn other_info(&self, kdf: Kdf) -> Vec<u8> {
        let name = |name: &Principal| wire::encode(&Krb5PrincipalName { realm: name.realm(), name: name.into() });
        // Nobody is of no realm here, though the request has one: MIT's reading, against the RFC's words.
        let client = if self.client.is_anonymous() { Principal::anonymous() } else { self.client };
        let public = PkinitSuppPubInfo { etype: self.etype, as_req: self.request, pk_as_rep: self.reply };
        wire::encode(&OtherInfo {
            algorithm: AlgorithmIdentifier::bare(kdf.id().id),
            party_u: &name(client),
            party_v: &name(self.server),
            supp_pub_info: &wire::encode(&public),
        })
    }

    fn derive(&self, secret: &[u8], kdf: Kdf) -> Result<Key> {
        let info = self.other_info(kdf);
        let blocks = (1_u32..).map(|counter| kdf.hash([&counter.to_be_bytes(), secret, &info]));
        truncated(self.etype, blocks)
    }
}

/// octetstring2key() of RFC 4556 3.2.3.1.
///
/// # Errors
/// [`crate::Error::EtypeNotSupported`].
pub fn octetstring2key(etype: EncryptionType, secret: &[u8]) -> Result<Key> {
    truncated(etype, (0_u8..=255).map(|counter| Zeroizing::new(sha1(&[&[counter], secret]).to_vec())))
}

/// A key of the first octets of some blocks.
fn truncated(etype: EncryptionType, blocks: impl Iterator<Item = Zeroizing<Vec<u8>>>) -> Result<Key> {
    let length = key_len(etype)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(length + 64));
    for block in blocks {
        octets.extend_from_slice(&block);
        if octets.len() >= length {
            break;
        }
    }
    Key::random_to_key(etype, octets.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::NameType;
    use crate::crypto::testing;

    #[test]
    fn the_vectors_of_both_rfcs_hold() {
        let mut seen = 0;
        for vector in testing::open("pkinit_kdf") {
            let etype = vector.etype();
            if !crate::crypto::supported(etype) {
                continue;
            }
            seen += 1;
            if vector.is("op", "octetstring2key K-truncate") {
                let key = octetstring2key(etype, &vector.bytes("x")).unwrap();
                assert_eq!(key.expose(), vector.bytes("output"));
                continue;
            }
            let kdf = match vector.text("hash") {
                "sha1" => Kdf::Sha1,
                "sha256" => Kdf::Sha256,
                "sha384" => Kdf::Sha384,
                _ => Kdf::Sha512,
            };
            assert_eq!(kdf.id().id.0, vector.bytes("kdf_oid_der_content"));
            let (request, reply) = (vector.bytes("as_req"), vector.bytes("pk_as_rep"));
            let client = Principal::new(NameType::PRINCIPAL, "SU.SE", ["lha"]).unwrap();
            let server = Principal::tgs("SU.SE").with_kind(NameType::PRINCIPAL);
            let binding = Binding { etype, client: &client, server: &server, request: &request, reply: &reply };
            assert_eq!(binding.other_info(kdf), vector.bytes("other_info"));
            assert_eq!(binding.reply_key(&vector.bytes("Z"), Some(kdf)).unwrap().expose(), vector.bytes("key"));
        }
        assert_eq!(seen, 6, "one vector is for triple DES");
    }

    #[test]
    fn the_vector_for_triple_des_holds_as_far_as_its_key_is_made() {
        let vectors = testing::open("pkinit_kdf");
        let vector = vectors.iter().find(|vector| vector.is("hash", "sha512")).unwrap();
        let info = vector.bytes("other_info");
        let block = Kdf::Sha512.hash([&1_u32.to_be_bytes(), &vector.bytes("Z"), &info]);
        let material = vector.bytes("key_material");
        assert_eq!(block[..material.len()], material);
    }
}
