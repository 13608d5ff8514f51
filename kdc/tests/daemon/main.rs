//! The program `kdc` as people start it.
#![allow(missing_docs, reason = "tests")]

mod dev;
mod moving;
mod run;
