//! The bodies of the fuzz targets: arbitrary bytes in, no panic out, and what must hold of any bytes
//! checked. The folder `fuzz` gives them to libFuzzer, `tests/fuzz_short.rs` to every run of the
//! tests. Not here: the seeds (`fuzz/corpus`).

mod admin;
mod client;
mod doors;
mod fast;
mod formats;
mod gss;
mod inside;
mod kdc;
mod kpasswd;
mod moving;
mod negotiation;
mod pac;
mod pkinit;
mod radius;
mod script;
mod service;
mod spake;
mod wire;

pub use admin::{admin_frame, admin_operation, kadmin_query, master, store_record};
pub use client::client_reply;
pub use doors::{iakerb_token, kcm, kkdcp_message};
pub use formats::{ccache, kdc_toml, keytab, krb5_conf, master_key, principal, transited};
pub use gss::{gss_acceptor, gss_acceptor_structured, gss_initiator, gss_message, honest_token};
pub use inside::{causes, honest_kinds, kdc_inside};
pub use kdc::{kdc_request, kdc_structured};
pub use kpasswd::kpasswd_request;
pub use moving::{heimdal_dump, mit_dump};
pub use negotiation::gss_negotiation;
pub use pac::pac;
pub use pkinit::pkinit;
pub use radius::radius_answer;
pub use script::Script;
pub use service::{acceptor, acceptor_structured, honest_ap_req};
pub use spake::spake;
pub use wire::{TYPES as WIRE_TYPES, wire};

/// A target: one function over bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its file in `fuzz/fuzz_targets` and of its seeds'
/// folder.
pub const TARGETS: [(&str, Target); 33] = [
    ("kdc_request", kdc_request),
    ("kdc_structured", kdc_structured),
    ("kdc_inside", kdc_inside),
    ("acceptor", acceptor),
    ("acceptor_structured", acceptor_structured),
    ("client_reply", client_reply),
    ("gss_acceptor", gss_acceptor),
    ("gss_acceptor_structured", gss_acceptor_structured),
    ("gss_initiator", gss_initiator),
    ("gss_message", gss_message),
    ("gss_negotiation", gss_negotiation),
    ("ccache", ccache),
    ("keytab", keytab),
    ("krb5_conf", krb5_conf),
    ("kdc_toml", kdc_toml),
    ("master_key", master_key),
    ("principal", principal),
    ("transited", transited),
    ("wire", wire),
    ("store_record", store_record),
    ("admin_operation", admin_operation),
    ("admin_frame", admin_frame),
    ("kadmin_query", kadmin_query),
    ("kpasswd_request", kpasswd_request),
    ("mit_dump", mit_dump),
    ("heimdal_dump", heimdal_dump),
    ("pac", pac),
    ("kkdcp_message", kkdcp_message),
    ("kcm", kcm),
    ("iakerb_token", iakerb_token),
    ("spake", spake),
    ("radius_answer", radius_answer),
    ("pkinit", pkinit),
];
