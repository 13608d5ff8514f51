//! The tools that people type: kinit, klist, kdestroy, kvno, kpasswd, kswitch and ktutil; and kcmd, a daemon that
//! holds their caches.
//!
//! Flags, output, exit codes and first error lines are those of MIT krb5, because fingers and
//! scripts know them. Beside each short flag stands a long one, and below each error line the next
//! step to take. One file a tool; here is only what they share. Nothing here knows a file format or
//! a message: that is libkrb's.

pub mod kcmd;
pub mod kdestroy;
pub mod kinit;
pub mod klist;
pub mod kpasswd;
pub mod kswitch;
pub mod ktutil;
pub mod kvno;

mod local;
mod report;
mod secret;
mod settings;

/// The command lines of all tools, for whoever makes manual pages and completions of them.
pub fn commands() -> Vec<clap::Command> {
    vec![
        kcmd::command(),
        kdestroy::command(),
        kinit::command(),
        klist::command(),
        kpasswd::command(),
        kswitch::command(),
        ktutil::command(),
        kvno::command(),
    ]
}
