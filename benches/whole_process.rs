//! Whole-process times.
fn main() {}
