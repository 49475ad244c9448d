//! The tests of gauth as others see it, a module per feature.
#![allow(clippy::disallowed_methods)] // Tests stand outside: they open sockets and look at clocks.

mod accounts;
mod cache;
mod ci;
mod corpus;
mod discovery;
#[cfg(target_os = "linux")]
mod e2e;
mod exchange;
mod generated;
mod input;
mod inspect;
mod login;
mod net;
mod properties;
mod readme;
mod samples;
mod sandbox;
mod support;
mod tidy;
mod tokens;
