//! gauth: Google tokens for scripts.
//!
//! The map: a [`commands`] entry turns flags into a [`tokens::TokenRequest`] and finds a credential
//! (`discover`), the broker looks into the cache or asks Google, `output` prints one line. Everything
//! outside the process is behind a door of [`world::World`].

pub mod accounts;
pub mod cli;
pub mod commands;
pub mod config;
pub mod credentials;
pub mod discovery;
pub mod error;
pub mod flags;
#[doc(hidden)]
pub mod fuzzing;
pub mod gcloud;
pub mod google;
pub mod http;
pub mod jose;
pub mod login;
pub mod net;
pub mod oauth;
pub mod output;
pub mod sandbox;
pub mod text;
pub mod tokens;
pub mod world;

pub use crate::error::{Error, ErrorKind, Result};
