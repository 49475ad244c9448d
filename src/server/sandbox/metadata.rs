//! The sandbox's machine, behind the metadata protocol.

use serde_json::json;

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::metadata::{self, Account, Facts, Identity, Machine};
use crate::server::sandbox::State;
use crate::server::sandbox::cast;
use crate::server::sandbox::ledger::Grant;
use crate::server::sandbox::token::LIFE;

/// The real one hands out the same token until it has about this many seconds left.
const RENEWED: i64 = 300;

/// Answers `/` and everything below `/computeMetadata`.
pub(super) fn answer(state: &State, request: &Request) -> Answer {
    // Both ports are ours; the one that was asked is in the name of the host.
    let host = request.header("host").unwrap_or_default();
    let [plain, tls] = state.ports;
    let port = if host.ends_with(&format!(":{tls}")) { tls } else { plain };
    metadata::answer(state, request, port)
}

impl Machine for State {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    fn access_token(&self, account: &Account, scopes: &[String]) -> Result<(String, i64), Answer> {
        let mut scopes = if scopes.is_empty() { account.scopes.clone() } else { scopes.to_vec() };
        scopes.sort();
        scopes.dedup();
        let now = self.clock.unix();
        let mut ledger = lock(&self.ledger);
        if let Some((token, end)) = ledger.machine_token(&account.email, &scopes)
            && end - now > RENEWED
        {
            return Ok((token, end - now));
        }
        let token = self.new_token("ya29.c.m0")?;
        let grant = Grant {
            account: account.email.clone(),
            client: cast::subject(&account.email),
            scopes,
            expires_at: now + LIFE,
            family: None,
            boundary: None,
        };
        ledger.keep_machine_token(&token, grant);
        Ok((token, LIFE))
    }

    fn identity_token(&self, account: &Account, wish: &Identity) -> Result<String, Answer> {
        let mut extra = json!({ "azp": cast::subject(&account.email) });
        if wish.full {
            let facts = self.facts();
            extra["google"]["compute_engine"] = json!({
                "instance_creation_timestamp": self.clock.unix() - 86_400,
                "instance_id": facts.id.to_string(),
                "instance_name": facts.name,
                "project_id": facts.project,
                "project_number": facts.number.parse::<u64>().unwrap_or_default(),
                "zone": facts.zone,
            });
        }
        if wish.licenses {
            extra["google"]["compute_engine"]["license_id"] = json!(["1000000"]);
        }
        State::identity_token(self, &account.email, &wish.audience, extra)
    }
}
