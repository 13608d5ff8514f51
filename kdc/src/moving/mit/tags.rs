//! What MIT's releases added to a principal as tagged data (MIT krb5, src/include/kdb.h,
//! src/lib/kdb/kdb5.c, src/lib/kadm5/srv/adb_xdr.c): numbers little-endian, kadmin's own in XDR
//! (RFC 4506). Every function yields `None` for octets that are not what the tag says.

use super::fields::KeyData;

pub const LAST_PASSWORD_CHANGE: i32 = 0x1;
pub const MODIFIED: i32 = 0x2;
pub const KADMIN: i32 = 0x3;
pub const MASTER_VERSION: i32 = 0x8;
pub const MASTER_KEYS: i32 = 0xa;
pub const STRINGS: i32 = 0xb;
pub const ALIAS: i32 = 0xc;
pub const LAST_UNLOCK: i32 = 0x700;

/// What the types that we have no use for are called.
const OTHERS: [(i32, &str); 9] = [
    (0x4, "old kadmin data"),
    (0x5, "challenge state"),
    (0x6, "SecurID state"),
    (0x7, "a user's certificate"),
    (0x100, "PAC logon information"),
    (0x200, "a server referral"),
    (0x300, "server referral data"),
    (0x400, "a list for constrained delegation"),
    (0x500, "a LAN manager key"),
];

/// `KADM5_POLICY` of kadmin's attributes: the policy's name counts.
const HAS_POLICY: u32 = 0x800;
/// What kadmin's data begin with.
const KADMIN_VERSION: u32 = 0x1234_5c01;
/// The one version that the data of master keys have.
const LAYOUT: u16 = 1;

/// What to call a type that is not carried.
pub fn name(kind: i32) -> String {
    let known = OTHERS.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name);
    known.map_or_else(|| format!("tagged data of type {kind}"), |name| format!("{name} (tagged data of type {kind})"))
}

/// Seconds since 1970.
pub fn time(octets: &[u8]) -> Option<i64> {
    Some(u32::from_le_bytes(octets.try_into().ok()?).into())
}

/// The version of a master key.
pub fn version(octets: &[u8]) -> Option<u32> {
    Some(u16::from_le_bytes(octets.try_into().ok()?).into())
}

/// When, and by whom.
pub fn modified(octets: &[u8]) -> Option<(i64, String)> {
    let (seconds, name) = octets.split_at_checked(4)?;
    Some((time(seconds)?, text(name)?))
}

/// Text with a zero octet at its end.
pub fn text(octets: &[u8]) -> Option<String> {
    String::from_utf8(octets.strip_suffix(&[0])?.to_vec()).ok().filter(|text| !text.contains('\0'))
}

/// Names and values, each with a zero octet at its end.
pub fn strings(octets: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut parts = octets.split(|octet| *octet == 0);
    // What is behind the last zero octet: nothing.
    parts.next_back().filter(|rest| rest.is_empty())?;
    let mut strings = vec![];
    while let Some(name) = parts.next() {
        strings.push((name, parts.next()?));
    }
    Some(strings)
}

/// Copies of the newest master key: the version of the older one that seals it, and its own version,
/// enctype and octets.
pub fn master_keys(octets: &[u8]) -> Option<Vec<(u32, KeyData)>> {
    let mut rest = Little(octets);
    if rest.short()? != LAYOUT {
        return None;
    }
    let mut keys = vec![];
    while !rest.0.is_empty() {
        let sealer = rest.short()?.into();
        let kvno = rest.short()?.into();
        let etype = rest.short()? as i16;
        let length = rest.short()?.into();
        let key = Some((etype.into(), rest.take(length)?.to_vec()));
        keys.push((sealer, KeyData { kvno, key, salt: None }));
    }
    Some(keys)
}

struct Little<'a>(&'a [u8]);

impl<'a> Little<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }
}

/// What kadmin keeps of a principal.
#[derive(Default)]
pub struct Kadmin {
    /// The policy that it is under.
    pub policy: Option<String>,
    /// The keys of former passwords, newest first, sealed by the key of kadmin/history.
    pub former: Vec<Vec<KeyData>>,
}

/// Reads `osa_princ_ent_rec`.
pub fn kadmin(octets: &[u8]) -> Option<Kadmin> {
    let mut xdr = Xdr(octets);
    if xdr.word()? != KADMIN_VERSION {
        return None;
    }
    let policy = match xdr.opaque()? {
        [] => None,
        name => Some(text(name)?),
    };
    let attributes = xdr.word()?;
    let next = xdr.word()? as usize;
    // The version of the key of kadmin/history.
    xdr.word()?;
    let count = xdr.word()?;
    let mut ring = vec![];
    for _ in 0..count {
        let keys = xdr.word()?;
        let mut version = vec![];
        for _ in 0..keys {
            version.push(xdr.key()?);
        }
        ring.push(version);
    }
    // `next` is where the next one will be put: the newest stands before it.
    if !ring.is_empty() {
        let middle = next % ring.len();
        ring.rotate_left(middle);
        ring.reverse();
    }
    Some(Kadmin { policy: policy.filter(|_| attributes & HAS_POLICY != 0), former: ring })
}

struct Xdr<'a>(&'a [u8]);

impl<'a> Xdr<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn opaque(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.word()?).ok()?;
        let octets = self.take(length)?;
        self.take(length.wrapping_neg() % 4)?;
        Some(octets)
    }

    fn key(&mut self) -> Option<KeyData> {
        let parts = self.word()?;
        let kvno = self.word()?;
        let [etype, salt] = [self.word()? as i32, self.word()? as i32];
        let _lengths = [self.word()?, self.word()?];
        let [key, salt_octets] = [self.opaque()?.to_vec(), self.opaque()?.to_vec()];
        let part = |wanted: u32, kind, octets| (parts >= wanted).then_some((kind, octets));
        Some(KeyData { kvno, key: part(1, etype, key), salt: part(2, salt, salt_octets) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `osa_princ_ent_rec` with a ring of one key each, of these versions.
    fn ring(next: u32, versions: &[u32]) -> Vec<u8> {
        let mut words = vec![KADMIN_VERSION, 4, u32::from_be_bytes(*b"pol\0"), HAS_POLICY, next, 2];
        words.push(versions.len() as u32);
        for kvno in versions {
            words.extend([1, 1, *kvno, 18, 0, 4, 0, 4, 0xdead_beef, 0]);
        }
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn versions(octets: &[u8]) -> Vec<u32> {
        let kadmin = kadmin(octets).expect("kadmin's data");
        assert_eq!(kadmin.policy.as_deref(), Some("pol"));
        kadmin.former.iter().flatten().map(|key| key.kvno).collect()
    }

    #[test]
    fn former_passwords_come_newest_first_from_a_ring_that_is_filling_and_from_a_full_one() {
        assert_eq!(versions(&ring(3, &[1, 2, 3])), [3, 2, 1]);
        assert_eq!(versions(&ring(0, &[1, 2, 3])), [3, 2, 1]);
        assert_eq!(versions(&ring(1, &[4, 2, 3])), [4, 3, 2]);
        assert_eq!(versions(&ring(2, &[4, 5, 3])), [5, 4, 3]);
    }

    #[test]
    fn a_ring_that_promises_more_than_there_is_is_refused() {
        let mut torn = ring(0, &[1]);
        torn.truncate(torn.len() - 1);
        assert!(kadmin(&torn).is_none());
        let mut many = ring(0, &[]);
        let end = many.len() - 4;
        many.splice(end.., u32::MAX.to_be_bytes());
        assert!(kadmin(&many).is_none());
    }

    #[test]
    fn strings_are_pairs() {
        assert_eq!(strings(b"a\0b\0c\0\0"), Some(vec![(&b"a"[..], &b"b"[..]), (b"c", b"")]));
        assert_eq!(strings(b""), Some(vec![]));
        assert_eq!(strings(b"a\0b"), None);
        assert_eq!(strings(b"a\0"), None);
    }
}
