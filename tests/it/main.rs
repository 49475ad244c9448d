//! The tests of gauth as others see it, a module per feature.
#![allow(clippy::disallowed_methods)] // Tests stand outside: they open sockets and look at clocks.

mod corpus;
mod net;
mod sandbox;
