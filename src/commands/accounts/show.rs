//! `gauth accounts show`: everything about one login. Secrets are told by their beginning and a fingerprint.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::accounts::vault::kept;
use crate::accounts::{SIGNED_IN, shape};
use crate::commands::accounts::list::{JsonRow, Row, in_short};
use crate::commands::accounts::pretty;
use crate::credential::kind_in_words;
use crate::discover::Search;
use crate::discover::logins::Login;
use crate::duration;
use crate::error::Result;
use crate::flags::ReportFormat;
use crate::printable;
use crate::secret::Secret;
use crate::token::{AccessRequest, Token, TokenRequest};
use crate::world::World;

/// The report.
///
/// # Errors
/// When what is chosen cannot be read.
pub(super) fn report(login: Login, search: &Search<'_>, format: ReportFormat) -> Result<String> {
    let row = Row::of(login, search, false)?;
    let world = search.world();
    let token = row.login().credential.as_ref().and_then(|credential| {
        let wish = TokenRequest::Access(AccessRequest::default());
        search.broker.peek(&**credential, &wish)
    });
    let fields = row.login().json.as_ref().map(seen).unwrap_or_default();
    Ok(match format {
        ReportFormat::Text => text(&row, &fields, token.as_ref(), world),
        ReportFormat::Json => pretty(&Json {
            row: JsonRow::of(&row),
            token: token.as_ref().map(|token| JsonToken {
                expires_at: token.expires_at.map(duration::rfc3339),
                expires_in: token.left(world.clock.unix()),
                fingerprint: token.secret.fingerprint(),
            }),
            fields: &fields,
        }),
    })
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    row: JsonRow<'a>,
    token: Option<JsonToken>,
    fields: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct JsonToken {
    expires_at: Option<String>,
    expires_in: Option<i64>,
    fingerprint: String,
}

/// The fields of a login as anybody may see them.
fn seen(login: &Map<String, Value>) -> Map<String, Value> {
    login.iter().map(|(name, value)| (name.clone(), seen_value(name, value))).collect()
}

fn seen_value(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(inner) => Value::Object(seen(inner)),
        _ if shape::is_public(name) => value.clone(),
        Value::String(text) if text == kept::ELSEWHERE => value.clone(),
        Value::String(text) => {
            let secret = Secret::new(text.as_str());
            let (start, print) = (secret.beginning(), secret.fingerprint());
            Value::from(format!("{start}… (fingerprint {print})"))
        }
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) | Value::Array(_) => Value::from("…"),
    }
}

fn text(row: &Row, fields: &Map<String, Value>, token: Option<&Token>, world: &World) -> String {
    let (login, now, width) = (row.login(), world.clock.unix(), world.terminal.width);
    let kind = login.kind().map_or("a login", kind_in_words);
    let article = ["a ", "an "].iter().find_map(|article| kind.strip_prefix(article));
    let active = if row.is_active() { ", the active account" } else { "" };
    let mut text = format!(
        "{}, {} of {}{active}\n\n",
        printable::text(&login.account),
        printable::text(article.unwrap_or(kind)),
        login.keeper.name()
    );
    let home = world.folders.home.as_deref();
    let mut lines = vec![
        ("file".to_owned(), printable::home_path(&login.file, home).into_owned()),
        ("state".to_owned(), row.state()),
    ];
    if !row.profiles().is_empty() {
        lines.push(("profiles".to_owned(), printable::text(&row.profiles().join(", "))));
    }
    if let Some(left) = token.and_then(|token| token.left(now)).filter(|left| *left > 0) {
        lines.push(("token".to_owned(), format!("cached, {} left", duration::in_words(left))));
    }
    for (name, value) in flat("", fields) {
        let value = match name.as_str() {
            SIGNED_IN => since(&value, now),
            _ => value,
        };
        lines.push((printable::text(&name), value));
    }
    let wide = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(width / 2);
    for (name, value) in lines {
        text.push_str(&format!("{name:wide$}  {}\n", printable::wrapped(&value, wide + 2, width)));
    }
    text
}

/// The fields in lines, those of objects with the names of both.
fn flat(before: &str, fields: &Map<String, Value>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (name, value) in fields {
        let whole = format!("{before}{name}");
        match value {
            Value::Object(inner) => lines.extend(flat(&format!("{whole}."), inner)),
            Value::Array(list) => {
                let words: Vec<String> = list
                    .iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                    .collect();
                lines.push((whole, in_short(&words)));
            }
            Value::String(text) => lines.push((whole, printable::text(text))),
            Value::Null => {}
            other => lines.push((whole, other.to_string())),
        }
    }
    lines
}

/// A moment that is past, in words and exactly.
fn since(moment: &str, now: i64) -> String {
    match moment.parse::<jiff::Timestamp>() {
        Ok(time) => {
            let ago = now.saturating_sub(time.as_second()).max(0);
            format!("{} ago ({moment})", duration::in_words(ago))
        }
        Err(_) => moment.to_owned(),
    }
}
