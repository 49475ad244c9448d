//! Tokens from every Google credential, blocking, with a cache that processes share.
#![doc = include_str!("../README.md")]
//!
//! ## How it works
//!
//! A [`TokenProvider`] finds a credential and requests each token from a *broker*. The broker reads the cache, takes
//! the lock of the token, looks again, and only then lets the credential request a new one; so that of many processes
//! one sends the request. A credential is one kind of Google's JSON and knows its own protocol only; impersonation and
//! Credential Access Boundaries wrap another credential. Everything outside the process (variables, clock, network,
//! files, terminal) is reached through one value, which tests replace.
//!
//! Secrets go to Google's hosts over https, to the metadata server, and to loopback addresses, and nowhere else; a
//! credential file cannot change that. They never occur in errors.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests write the files they read"))]

// The modules, from top to bottom: each uses only those below it.

// Which credential: one table of sources, and one walk over it.
#[doc(hidden)]
pub mod discovery;

// Signing a user in.
#[doc(hidden)]
pub mod login;

// What holds for a run, as plain data.
#[doc(hidden)]
pub mod config;

// One file for each kind of credential.
#[doc(hidden)]
pub mod credentials;

// Stored logins, and the stores for their secrets.
#[doc(hidden)]
pub mod accounts;

// What only Google has: IAM, the metadata server, reauthentication.
#[doc(hidden)]
pub mod google;

// Request, token, credential, broker and cache.
#[doc(hidden)]
pub mod tokens;

// The RFCs of OAuth 2.0.
#[doc(hidden)]
pub mod oauth;

// JWT, keys and signatures.
#[doc(hidden)]
pub mod jose;

// gcloud's folder.
#[doc(hidden)]
pub mod gcloud;

// The client, its transport and certificates, and the little server.
#[doc(hidden)]
pub mod http;

// Everything outside the process.
#[doc(hidden)]
pub mod world;

// Messages, URLs, and which hosts may receive a secret.
#[doc(hidden)]
pub mod net;

// Text of unknown origin, durations, JSON, secrets.
#[doc(hidden)]
pub mod text;

pub mod error;

pub use crate::discovery::TokenProvider;
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::text::secret::Secret;
pub use crate::tokens::Token;
