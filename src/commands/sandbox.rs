//! `gauth sandbox`.
