//! What standard output gets: tokens in their formats, and pages of help.

pub mod error;
pub mod format;
pub mod page;
pub mod status;
pub mod token;
