//! Tokens in every output format, help pages, error messages, and the exit status.

pub mod error;
pub mod format;
pub mod page;
pub mod status;
pub mod token;
