//! stub

#[cfg(test)]
pub(crate) mod testing;
