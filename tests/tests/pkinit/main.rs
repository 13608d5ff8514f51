//! Logins by certificate and without a name: in memory ([`login`], [`anonymous`], [`attacks`]) and with
//! MIT's and Heimdal's programs ([`peers`]).

mod anonymous;
mod armored;
mod attacks;
mod authority;
mod joint;
mod login;
mod peers;
mod place;
mod recorded;
