//! Signing in: the authorization endpoints, the consent pages, the device flow, and the redemption of grants.
//!
//! Google accounts, the workforce pool and the external OpenID provider work alike; each is an
//! [`Issuer`](crate::token_store::Issuer) of its own.

pub(crate) mod authorize;
mod consent;
pub(crate) mod device;
pub(crate) mod grants;
mod page;
mod redirect;
