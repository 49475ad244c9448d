//! Listening: loopback addresses only.
