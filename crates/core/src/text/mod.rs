//! Text and its shapes: durations, JSON, secrets, and what of foreign text may be shown.

pub mod bearer_token;
pub mod duration;
pub mod hex;
pub mod json;
pub mod printable;
pub mod scopes;
pub mod secret;
pub mod visible_ascii;
