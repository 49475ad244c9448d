//! Reauthentication sessions in progress, and the proofs (RAPT) that were issued.

use std::collections::HashMap;

/// The sessions in progress, and the valid RAPTs.
#[derive(Default)]
pub(crate) struct ReauthState {
    pub(crate) sessions: HashMap<String, ChallengeSession>,
    /// By RAPT: the account that it was issued to, and when it expires.
    pub(crate) rapts: HashMap<String, (String, i64)>,
}

pub(crate) struct ChallengeSession {
    pub(crate) account: String,
    /// The types of challenges that the client supports.
    pub(crate) supported_challenge_types: Vec<String>,
    /// How many correct answers are still required.
    pub(crate) remaining_challenges: u32,
    /// The id of the current challenge.
    pub(crate) challenge_id: u64,
    pub(crate) expires_at: i64,
}
