//! Between realms: tickets from elsewhere and ways to elsewhere, joined in memory and between real KDCs.

mod attacks;
mod behalf;
mod behalf_interop;
mod interop;
mod referrals;
mod transit;
mod visit;
mod walks;
