//! Our codec against an independent one: what the crate rasn-kerberos reads, we read, as the same
//! values; what it finds well written, we write so. Over recorded messages and some thousand bent
//! ones, the same in every run. Where we differ, a table says why.

use std::collections::BTreeSet;

use libkrb::wire::{self, Decode, Encode};
use libkrb::{Error, crypto::Random};
use rasn_kerberos as rk;
use tests::joined::Sequence;

/// What both sides make of some bytes, for one type.
struct Seen {
    /// Read and written again by us.
    ours: Result<Vec<u8>, Error>,
    /// Read and written again by rasn; `None` if it reads nothing in them.
    theirs: Option<Vec<u8>>,
    /// What rasn reads in what we wrote, written again.
    through: Option<Vec<u8>>,
}

fn ours<'a, T: Decode<'a> + Encode>(bytes: &'a [u8]) -> Result<Vec<u8>, Error> {
    Ok(wire::encode(&wire::decode::<T>(bytes)?))
}

fn theirs<T: rasn::Decode + rasn::Encode>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value = rasn::der::decode::<T>(bytes).ok()?;
    rasn::der::encode(&value).ok()
}

macro_rules! types {
    ($($name:literal = $ours:ty, $theirs:ty;)*) => {
        const TYPES: &[(&str, fn(&[u8]) -> Seen)] = &[$(
            ($name, |bytes| {
                let ours = ours::<$ours>(bytes);
                let through = ours.as_ref().ok().and_then(|bytes| theirs::<$theirs>(bytes));
                Seen { ours, theirs: theirs::<$theirs>(bytes), through }
            }),
        )*];
    };
}

types! {
    "AS-REQ" = wire::KdcReq<'_>, rk::AsReq;
    "TGS-REQ" = wire::KdcReq<'_>, rk::TgsReq;
    "AS-REP" = wire::KdcRep<'_>, rk::AsRep;
    "TGS-REP" = wire::KdcRep<'_>, rk::TgsRep;
    "KDC-REQ-BODY" = wire::KdcReqBody<'_>, rk::KdcReqBody;
    "KRB-ERROR" = wire::KrbError<'_>, rk::KrbError;
    "Ticket" = wire::Ticket<'_>, rk::Ticket;
    "EncTicketPart" = wire::EncTicketPart<'_>, rk::EncTicketPart;
    "EncASRepPart" = wire::EncKdcRepPart<'_>, rk::EncAsRepPart;
    "EncTGSRepPart" = wire::EncKdcRepPart<'_>, rk::EncTgsRepPart;
    "AP-REQ" = wire::ApReq<'_>, rk::ApReq;
    "AP-REP" = wire::ApRep<'_>, rk::ApRep;
    "Authenticator" = wire::Authenticator<'_>, rk::Authenticator;
    "EncAPRepPart" = wire::EncApRepPart<'_>, rk::EncApRepPart;
    "KRB-SAFE" = wire::KrbSafe<'_>, rk::KrbSafe;
    "KRB-PRIV" = wire::KrbPriv<'_>, rk::KrbPriv;
    "EncKrbPrivPart" = wire::EncKrbPrivPart<'_>, rk::EncKrbPrivPart;
    "KRB-CRED" = wire::KrbCred<'_>, rk::KrbCred;
    "EncKrbCredPart" = wire::EncKrbCredPart<'_>, rk::EncKrbCredPart;
    "METHOD-DATA" = wire::MethodData<'_>, rk::MethodData;
    "ETYPE-INFO" = wire::List<'_, wire::EtypeInfoEntry<'_>>, rk::EtypeInfo;
    "ETYPE-INFO2" = wire::List<'_, wire::EtypeInfo2Entry<'_>>, rk::EtypeInfo2;
    "PA-ENC-TS-ENC" = wire::PaEncTsEnc, rk::PaEncTsEnc;
    "EncryptedData" = wire::EncryptedData<'_>, rk::EncryptedData;
    "EncryptionKey" = wire::EncryptionKey<'_>, rk::EncryptionKey;
    "Checksum" = wire::Checksum<'_>, rk::Checksum;
    "HostAddress" = wire::HostAddress<'_>, rk::HostAddress;
    "PrincipalName" = wire::PrincipalName<'_>, rk::PrincipalName;
    "AuthorizationData" = wire::AuthorizationData<'_>, rk::AuthorizationData;
    "AD-KDCIssued" = wire::AdKdcIssued<'_>, rk::AdKdcIssued;
    "AD-AND-OR" = wire::AdAndOr<'_>, rk::AdAndOr;
    "TYPED-DATA" = wire::List<'_, wire::TypedData<'_>>, rk::TypedData;
}

/// Where rasn reads and we do not: what we say of it, and why.
const REFUSED: [(&str, &str); 3] = [
    ("a name is not UTF-8", "RFC 4120 5.2.1 has ASCII, today's peers UTF-8; rasn reads any octets as Latin-1"),
    ("wrong version or message type", "rasn leaves pvno and msg-type to whoever asked it"),
    ("msg-type differs from the APPLICATION tag", "the same"),
];

fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/wire");
    let files = std::fs::read_dir(folder).expect("the seeds of the fuzz target");
    let mut paths = files.map(|file| file.expect("a file").path()).collect::<Vec<_>>();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// The same message with what we write in one way only, whichever way it was read: bit strings of
/// 32 bits, and numbers that are read as unsigned.
fn normal(mut der: &[u8]) -> Vec<String> {
    let mut elements = vec![];
    while let [tag, first, rest @ ..] = der {
        let digits = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let (length, rest) = rest.split_at(digits.min(rest.len()));
        let length = if digits == 0 {
            usize::from(*first)
        } else {
            length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let (contents, rest) = rest.split_at(length.min(rest.len()));
        match (tag, contents) {
            (tag, contents) if tag & 0x20 != 0 => {
                elements.push(format!("{tag:x}"));
                elements.extend(normal(contents));
            }
            (0x03, [_, bits @ ..]) => elements.push(format!("{:x?}", [bits, &[0; 4]].concat()[..4].to_vec())),
            (0x02, [first, ..]) => {
                let sign = if first & 0x80 == 0 { 0 } else { u32::MAX };
                elements.push(contents.iter().fold(sign, |sum, byte| sum << 8 | u32::from(*byte)).to_string());
            }
            (tag, contents) => elements.push(format!("{tag:x} {contents:x?}")),
        }
        der = rest;
    }
    elements
}

/// Compares the two; whether both read the bytes.
fn compare(name: &str, seen: &Seen, bytes: &[u8]) -> bool {
    let Some(theirs) = &seen.theirs else { return false };
    // What rasn reads and would write otherwise is no DER, such as a tag without its constructed bit.
    let well_written = theirs == bytes;
    match &seen.ours {
        Err(Error::Malformed(problem)) if well_written => {
            let known = REFUSED.iter().any(|(known, _)| known == problem);
            assert!(known, "{name}: we refuse what rasn reads ({problem}): {bytes:02x?}");
        }
        Err(Error::Malformed(_)) => (),
        Err(error) => panic!("{name}: {error}"),
        Ok(ours) => {
            // A leap second is the next minute's first to us (POSIX), and a second of its own to rasn.
            if bytes.windows(3).any(|end| end == b"60Z") {
                return true;
            }
            let through = seen.through.as_ref().unwrap_or_else(|| panic!("{name}: rasn cannot read {ours:02x?}"));
            assert_eq!(normal(through), normal(theirs), "{name}: other values in {bytes:02x?}");
            assert!(!well_written || normal(ours) == normal(bytes), "{name}: written otherwise: {bytes:02x?}");
            return true;
        }
    }
    false
}

#[test]
fn both_read_every_message_of_the_seeds_and_write_it_as_it_was() {
    let mut types = BTreeSet::new();
    for bytes in seeds() {
        for (name, look) in TYPES {
            let seen = look(&bytes);
            if compare(name, &seen, &bytes) {
                assert_eq!(seen.ours.as_ref().ok(), seen.theirs.as_ref(), "{name}: written differently");
                assert_eq!(seen.theirs.as_deref(), Some(&*bytes), "{name}: written otherwise than it was");
                types.insert(*name);
            }
        }
    }
    let missing = TYPES.iter().map(|(name, _)| *name).filter(|name| !types.contains(name)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "no seed for {missing:?}");
}

#[test]
fn of_bent_messages_we_read_what_rasn_reads() {
    let seeds = seeds();
    let mut random = Sequence(4120);
    let mut below = |bound: usize| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_be_bytes(bytes) as usize % bound.max(1)
    };
    let mut both = 0;
    for round in 0..10_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=below(2) {
            let at = below(bytes.len());
            bytes[at] = match below(3) {
                0 => bytes[at] ^ (1 << below(8)),
                1 => below(256) as u8,
                _ => bytes[at].wrapping_add(1),
            };
        }
        both += TYPES.iter().filter(|(name, look)| compare(name, &look(&bytes), &bytes)).count();
    }
    assert!(both > 2000, "{both}");
}
