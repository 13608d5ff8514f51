//! Proof against real peers: the harness that starts them.
