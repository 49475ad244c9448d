//! gauth: Google tokens for scripts.
//!
//! The map: a [`commands`] entry turns flags into a [`tokens::TokenRequest`] and finds a credential
//! (`discover`), the broker looks into the cache or asks Google, `output` prints one line. Everything
//! outside the process is behind a door of [`world::World`].
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests write the files they read"))]

pub mod cli;
pub mod commands;
pub mod flags;
#[doc(hidden)]
pub mod fuzzing;
pub mod output;

pub use gauth_core::error::{Error, ErrorKind, Result};
