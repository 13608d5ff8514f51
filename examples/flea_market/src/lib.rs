//! A flea market as services that do not trust the network: gateway, ads, users, each a process, a
//! principal and a database of its own, and a realm that they share.
#![forbid(unsafe_code)]

pub mod ad_service;
pub mod api;
pub mod chassis;
pub mod gateway;
pub mod market;
pub mod user_service;
