//! What standard output gets: tokens in their formats, and pages of help.

pub mod page;
pub mod token;
