//! gauth: Google tokens for scripts.
//!
//! The map: a [`commands`] entry turns flags into a [`token::TokenRequest`] and finds a credential
//! (`discover`), the broker looks into the cache or asks Google, `output` prints one line. Everything
//! outside the process is behind a door of [`world::World`].

pub mod commands;
pub mod error;
pub mod http;
pub mod jwt;
pub mod key;
pub mod printable;
pub mod secret;
pub mod server;
pub mod token;
pub mod url;
pub mod world;

pub use error::{Error, ErrorKind, Result};
