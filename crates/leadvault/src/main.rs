//! The Leadvault binary.
fn main() {}
