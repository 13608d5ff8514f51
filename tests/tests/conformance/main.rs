//! Client and KDC joined in memory, held against the RFCs: one file an RFC, tests named by section.

mod rfc4120;
mod rfc6113;
