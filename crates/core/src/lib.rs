//! Tokens from every Google credential, blocking, with a cache that processes share.

#[doc(hidden)]
pub mod accounts;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod credentials;
#[doc(hidden)]
pub mod discovery;
pub mod error;
#[doc(hidden)]
pub mod gcloud;
#[doc(hidden)]
pub mod google;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod jose;
#[doc(hidden)]
pub mod login;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod oauth;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod tokens;
#[doc(hidden)]
pub mod world;

pub use crate::error::{Error, ErrorKind, Result};
