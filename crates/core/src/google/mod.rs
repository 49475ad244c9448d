//! Google's APIs: one file each. Requests are built and answers read by pure functions.

pub mod gdch;
pub mod iam;
pub mod metadata;
pub mod reauth;
pub mod tokeninfo;
