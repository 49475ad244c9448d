//! `gauth accounts show`: everything about one login. Of secrets it shows the prefix of their type and a fingerprint.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::commands::accounts::list::{AccountJson, AccountRow, short_scopes};
use crate::commands::accounts::to_pretty_json;
use crate::flags::ReportFormat;
use gauth_core::accounts::fields;
use gauth_core::discovery::Discovery;
use gauth_core::discovery::logins::StoredLogin;
use gauth_core::error::Result;
use gauth_core::text::secret::Secret;
use gauth_core::text::{duration, printable};
use gauth_core::tokens::credential::credential_type_name;
use gauth_core::tokens::{AccessTokenRequest, Token, TokenRequest};
use gauth_core::world::World;

/// The report about one login.
///
/// # Errors
/// When `state.json` cannot be read.
pub(super) fn report(login: StoredLogin, discovery: &Discovery<'_>, format: ReportFormat) -> Result<String> {
    let row = AccountRow::of(login, discovery, false)?;
    let world = discovery.world();
    let token = row.login().credential.as_ref().and_then(|credential| {
        let request = TokenRequest::AccessToken(AccessTokenRequest::default());
        discovery.broker.peek_cached_token(&**credential, &request)
    });
    let fields = row.login().json.as_ref().map(redacted_fields).unwrap_or_default();
    Ok(match format {
        ReportFormat::Text => render_text(&row, &fields, token.as_ref(), world),
        ReportFormat::Json => to_pretty_json(&AccountDetailsJson {
            row: AccountJson::of(&row),
            token: token.as_ref().map(|token| AccountTokenJson {
                expires_at: token.expires_at.map(duration::rfc3339),
                expires_in: token.seconds_left(world.clock.unix_seconds()),
                fingerprint: token.secret.fingerprint(),
            }),
            fields: &fields,
        }),
    })
}

#[derive(Serialize)]
struct AccountDetailsJson<'a> {
    #[serde(flatten)]
    row: AccountJson<'a>,
    token: Option<AccountTokenJson>,
    fields: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct AccountTokenJson {
    expires_at: Option<String>,
    expires_in: Option<i64>,
    fingerprint: String,
}

/// The fields of a login without the values of secrets.
fn redacted_fields(login: &Map<String, Value>) -> Map<String, Value> {
    login.iter().map(|(name, value)| (name.clone(), redacted_value(name, value))).collect()
}

fn redacted_value(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(inner) => Value::Object(redacted_fields(inner)),
        _ if fields::is_public(name) => value.clone(),
        Value::String(text) if text == fields::SECRET_PLACEHOLDER => value.clone(),
        Value::String(text) => {
            let secret = Secret::new(text.as_str());
            let (beginning, fingerprint) = (secret.known_prefix(), secret.fingerprint());
            Value::from(format!("{beginning}… (fingerprint {fingerprint})"))
        }
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) | Value::Array(_) => Value::from("…"),
    }
}

fn render_text(row: &AccountRow, fields: &Map<String, Value>, token: Option<&Token>, world: &World) -> String {
    let (login, now, width) = (row.login(), world.clock.unix_seconds(), world.terminal.width);
    let kind = login.kind().map_or("a login", credential_type_name);
    let article = ["a ", "an "].iter().find_map(|article| kind.strip_prefix(article));
    let active = if row.is_active() { ", the active account" } else { "" };
    let mut text = format!(
        "{}, {} of {}{active}\n\n",
        printable::text(&login.account),
        printable::text(article.unwrap_or(kind)),
        login.store.name()
    );
    let home = world.folders.home.as_deref();
    let mut lines = vec![
        ("file".to_owned(), printable::home_path(&login.file, home).into_owned()),
        ("state".to_owned(), row.state()),
    ];
    if !row.profiles().is_empty() {
        lines.push(("profiles".to_owned(), printable::text(&row.profiles().join(", "))));
    }
    if let Some(left) = token.and_then(|token| token.seconds_left(now)).filter(|left| *left > 0) {
        lines.push(("token".to_owned(), format!("cached, {} left", duration::humanize(left))));
    }
    for (name, value) in flatten("", fields) {
        let value = match name.as_str() {
            fields::SIGNED_IN_AT => format_since(&value, now),
            _ => value,
        };
        lines.push((printable::text(&name), value));
    }
    let name_width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(width / 2);
    for (name, value) in lines {
        text.push_str(&format!("{name:name_width$}  {}\n", printable::wrap(&value, name_width + 2, width)));
    }
    text
}

/// The fields as names and values, with a dotted name for fields of objects.
fn flatten(prefix: &str, fields: &Map<String, Value>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (name, value) in fields {
        let path = format!("{prefix}{name}");
        match value {
            Value::Object(inner) => lines.extend(flatten(&format!("{path}."), inner)),
            Value::Array(list) => {
                let items: Vec<String> =
                    list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
                lines.push((path, short_scopes(&items)));
            }
            Value::String(text) => lines.push((path, printable::text(text))),
            Value::Null => {}
            other => lines.push((path, other.to_string())),
        }
    }
    lines
}

/// A time in the past: how long ago, and exactly.
fn format_since(moment: &str, now: i64) -> String {
    match moment.parse::<jiff::Timestamp>() {
        Ok(time) => {
            let ago = now.saturating_sub(time.as_second()).max(0);
            format!("{} ago ({moment})", duration::humanize(ago))
        }
        Err(_) => moment.to_owned(),
    }
}
