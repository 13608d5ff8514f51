//! Real KDCs on both sides of a trust.
