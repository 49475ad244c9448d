//! Prints one line. Both measurements compare gauth with this program.
#![allow(clippy::print_stdout, reason = "its only purpose")]

fn main() {
    println!("hello");
}
