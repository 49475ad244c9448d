//! An offline fake of Google's authentication services on loopback: for trying gauth out, for scripts in CI, and
//! for gauth's own tests.
//!
//! The sandbox verifies requests as strictly as Google does, and misbehaves on request (see [`faults`]). Its keys,
//! accounts and tokens are generated when it starts and removed when it stops.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests write the files they read"))]

pub mod admitted;
mod assertion;
mod aws;
mod behaviours;
mod certificates;
mod dispatch;
pub mod environment;
pub mod external_identities;
pub mod faults;
mod file_names;
pub mod fixtures;
mod folder;
mod gdch;
mod google_api;
mod grant_types;
mod iam;
mod id_token;
mod identity;
mod identity_pool;
mod issuing;
mod json_body;
mod keys;
mod metadata;
mod metadata_protocol;
mod oauth;
mod openid;
mod options;
mod pending_authorizations;
mod random_id;
mod reauth;
mod reauth_state;
mod registered_clients;
mod request_log;
mod routes;
mod server;
mod service;
mod shell;
mod signin;
mod state;
mod sts;
mod subject;
mod timestamp;
mod token;
mod token_store;
mod token_types;

pub use crate::options::SandboxOptions;
pub use crate::request_log::LoggedRequest;
pub use crate::routes::{ROUTES, Route};
pub use crate::server::{RunningSandbox, Sandbox};
pub use crate::shell::shell_quoted;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
