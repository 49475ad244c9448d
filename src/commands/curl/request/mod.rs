//! What a command line of curl's does with a token: where it would send it, and who else would see it.

mod call;
mod destination;
mod dry_run;
mod filter;
pub mod options;
#[cfg(test)]
mod tests;
mod words;

pub use crate::commands::curl::request::call::{CurlInvocation, RequestGroup, parse_args};
pub use crate::commands::curl::request::destination::{
    CurlTokenKind, DestinationPolicy, choose_token_kind, parse_destination,
};
pub use crate::commands::curl::request::dry_run::{QUOTA_PROJECT_HEADER, dry_run};
pub use crate::commands::curl::request::filter::StderrFilter;
pub use crate::commands::curl::request::words::separate_curl_args;
