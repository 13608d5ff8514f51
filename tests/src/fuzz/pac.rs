//! PACs: any octets, and any octets inside one that is well made.

use libkrb::authz::pac::{Pac, Signatures, sign};
use libkrb::codes::{EncryptionType, PacType};
use libkrb::crypto::{Key, KeyUsage, PreparedChecksum};

fn key() -> PreparedChecksum {
    let key = Key::new(EncryptionType::AES256_SHA1, &[7; 32]).expect("a key");
    key.prepare_checksum(KeyUsage::NON_KERB_CHECKSUM)
}

/// Reads everything that is in it.
fn read(pac: &Pac<'_>, length: usize) {
    let key = key();
    assert!(pac.buffers().map(|(_, octets)| octets.len()).sum::<usize>() <= length, "buffers upon each other");
    let _ = (pac.client_info(), pac.requestor(), pac.attributes(), format!("{pac:?}"));
    if let Ok(Some(way)) = pac.delegation_info() {
        let text = way.target.len() + way.transited.iter().map(String::len).sum::<usize>();
        assert!(text <= 2 * length, "more text than there are octets");
    }
    let _ = (pac.verify_server(&key), pac.verify_kdc(&key), pac.verify_full(&key), pac.verify_ticket(&key, b""));
}

/// Any octets as a PAC, then as each buffer of one that is signed.
pub fn pac(data: &[u8]) {
    if let Ok(pac) = Pac::parse(data) {
        read(&pac, data.len());
    }
    let kinds = [PacType::CLIENT_INFO, PacType::DELEGATION_INFO, PacType::REQUESTOR, PacType::ATTRIBUTES];
    let buffers = kinds.map(|kind| (kind, data));
    let signed = sign(&buffers, Signatures { server: &key(), kdc: &key(), ticket: Some(b"") }).expect("a PAC");
    let pac = Pac::parse(&signed).expect("what was made is read");
    read(&pac, signed.len());
    assert!(pac.verify_server(&key()).is_ok() && pac.verify_full(&key()).is_ok() && pac.verify_kdc(&key()).is_ok());
}
