//! Tokens: the request, the credential and session that answer it, the broker that looks in the cache first.

pub mod broker;
pub mod cache;
pub mod credential;
pub mod file;
mod request;
mod token;

pub use request::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, SelfSignedTarget, TokenRequest};
pub use token::{DEFAULT_REFRESH_MARGIN_SECONDS, Token};
