//! The workload and workforce identity pools, and the principals that they make of external identities.

use crate::fixtures::{WORKFORCE_PROVIDER, WORKLOAD_PROVIDER};

/// The kind of identity pool that an audience names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentityPool {
    Workload,
    Workforce,
}

impl IdentityPool {
    /// The pool whose provider this audience names.
    pub(crate) fn from_audience(audience: &str) -> Option<IdentityPool> {
        match audience {
            WORKLOAD_PROVIDER => Some(IdentityPool::Workload),
            WORKFORCE_PROVIDER => Some(IdentityPool::Workforce),
            _ => None,
        }
    }

    pub(crate) fn provider(self) -> &'static str {
        match self {
            IdentityPool::Workload => WORKLOAD_PROVIDER,
            IdentityPool::Workforce => WORKFORCE_PROVIDER,
        }
    }
}

/// The principal of a subject in a pool, as IAM policies name it.
pub(crate) fn principal(pool: IdentityPool, subject: &str) -> String {
    // The name of the pool is the part before its providers.
    let pool = pool.provider().split("/providers/").next().unwrap_or_default();
    format!("principal:{pool}/subject/{subject}")
}

/// The principal of a user in the workforce pool.
pub(crate) fn workforce_principal(email: &str) -> String {
    principal(IdentityPool::Workforce, email)
}
