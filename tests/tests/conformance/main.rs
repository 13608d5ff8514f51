//! Client and KDC joined in memory, held against the RFCs: one file an RFC, tests named by section.

mod rfc3244;
mod rfc4120;
mod rfc4556;
mod rfc6113;
mod rfc6806;
mod rfc9588;
