//! What a command line of curl's does with a token: where it would send it, and who else would see it.

mod call;
mod destination;
mod dry_run;
mod filter;
pub mod options;
mod words;

pub use call::{Call, Group, read};
pub use destination::{Kind, Rules, destination, kind};
pub use dry_run::{PROJECT, dry_run};
pub use filter::Filter;
pub use words::split;

#[cfg(test)]
mod tests;
