//! What a command line of curl's does with a token: where it would send it, and who else would see it.

mod call;
mod destination;
mod dry_run;
mod filter;
pub mod options;
mod words;

pub use call::{CurlInvocation, RequestGroup, parse_args};
pub use destination::{CurlTokenKind, DestinationPolicy, choose_token_kind, parse_destination};
pub use dry_run::{QUOTA_PROJECT_HEADER, dry_run};
pub use filter::StderrFilter;
pub use words::separate_curl_args;

#[cfg(test)]
mod tests;
