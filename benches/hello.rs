//! What a process costs before it does anything: the yardstick of both measurements.
#![allow(clippy::print_stdout, reason = "that is all it does")]

fn main() {
    println!("hello");
}
