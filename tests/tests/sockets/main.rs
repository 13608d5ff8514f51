//! The KDC's sockets, each test with a realm served on loopback (RFC 4120 7.2).

mod attacks;
mod drain;
mod guard;
mod heavy;
mod lookaside;
mod served;
mod transport;
