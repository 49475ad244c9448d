//! The program: a command of [`commands`] turns flags into a request, `gauth-core` finds a credential and gives the token,
//! and [`output`] prints it. The library exists for the tests; the one for others is `gauth-core`.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests write the files they read"))]

pub mod cli;
pub mod commands;
pub mod flags;
#[doc(hidden)]
pub mod fuzzing;
pub mod output;

pub use gauth_core::error::{Error, ErrorKind, Result};
