//! Google's Security Token Service: token exchange, and the tokens of workforce pool users.

mod amazon;
mod boundary;
pub(crate) mod exchange;
pub(crate) mod session;
mod subject_token;
