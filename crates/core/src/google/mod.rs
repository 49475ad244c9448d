//! Google's own APIs, one file each: pure functions build the requests and read the responses.

pub mod gdch;
pub mod iam;
pub mod metadata;
pub mod reauth;
pub mod tokeninfo;
