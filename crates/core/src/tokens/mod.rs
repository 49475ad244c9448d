//! Tokens: what is asked for, what can give it, and the one place where cache and credential meet.

pub mod broker;
pub mod cache;
pub mod credential;
pub mod file;
mod request;
mod token;

pub use request::{
    AccessTokenRequest, IdTokenRequest, SelfSignedRequest, SelfSignedTarget, TokenRequest,
};
pub use token::Token;
