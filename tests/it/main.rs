//! The tests of gauth as others see it, a module per feature.
#![allow(clippy::disallowed_methods)]

mod sandbox;
