//! JSON Web Tokens, keys and key sets (RFC 7515, 7517, 7519), and the verification of ID tokens.

pub mod jwks;
pub mod jwt;
pub mod key;
pub mod verify;
