//! Tests of the whole, one module per feature.
#![allow(clippy::disallowed_methods)] // Tests stand outside: they open sockets and look at clocks.

mod net;
