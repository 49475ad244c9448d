//! gauth: Google tokens for scripts.
//!
//! The map: a [`commands`] entry turns flags into a [`token::TokenRequest`] and finds a credential
//! (`discover`), the broker looks into the cache or asks Google, `output` prints one line. Everything
//! outside the process is behind a door of [`world::World`].

pub mod accounts;
pub mod boundary;
pub mod broker;
pub mod cache;
pub mod call;
pub mod certificate;
pub mod cli;
pub mod commands;
pub mod complete;
pub mod credential;
pub mod curl;
pub mod discover;
pub mod duration;
pub mod error;
pub mod flags;
#[doc(hidden)]
pub mod fuzzing;
pub mod gcloud;
pub mod google;
pub mod help;
pub mod http;
pub mod identity;
pub mod json;
pub mod jwks;
pub mod jwt;
pub mod key;
pub mod login;
pub mod output;
pub mod printable;
pub mod private_file;
pub mod proxy;
pub mod roots;
pub mod secret;
pub mod server;
pub mod settings;
pub mod sigv4;
pub mod token;
pub mod token_file;
pub mod trust;
pub mod url;
pub mod verify;
pub mod world;

pub use error::{Error, ErrorKind, Result};
