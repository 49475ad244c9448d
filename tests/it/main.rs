//! The tests of gauth as others see it, a module per feature.
#![allow(clippy::disallowed_methods)] // Tests stand outside: they open sockets and look at clocks.

mod accounts;
mod architecture;
mod cache;
mod ci_federation;
mod command_lines;
mod discovery;
mod exchange;
mod fuzz_corpus;
mod generated_files;
mod glossary;
mod input;
mod inspect;
mod login;
mod net;
mod property_tests;
mod readme;
mod sample_credentials;
mod sandbox;
mod support;
mod token_provider;
mod tokens;
