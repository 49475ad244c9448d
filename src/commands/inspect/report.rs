//! The output of `gauth inspect`: the verdict in the first line, the content of the token below.

use serde::Serialize;
use serde_json::{Map, Value};

use gauth_core::google::tokeninfo::TokenInfo;
use gauth_core::jose::verify::numeric_date;
use gauth_core::text::{duration, printable};
use gauth_core::world::World;

/// The dates that can be printed, in Unix seconds: years 1 to 9999.
const PRINTABLE_DATES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_207_200;

/// A longer claim name does not widen the first column.
const MAX_NAME_COLUMNS: usize = 24;

/// The result of the validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// `--verify` was not given.
    NotChecked,
    /// Valid, with the issuer and what was checked.
    Valid(String),
    /// Not valid, with the reason.
    NotValid(String),
}

/// The content of a token; `None` where it could not be read.
pub(super) enum TokenContent {
    /// The header and the claims.
    Jwt(Option<(Map<String, Value>, Map<String, Value>)>),
    /// The response of tokeninfo.
    AccessToken(Option<TokenInfo>),
}

/// The verdict on a token, and its content.
pub(super) struct InspectReport {
    pub(super) verdict: Verdict,
    pub(super) content: TokenContent,
}

/// The report as text.
pub(super) fn text(report: &InspectReport, world: &World) -> String {
    let paint = world.terminal.text_style(world.streams.stdout_is_terminal);
    let width = world.terminal.width;
    let line = |text: &str| printable::wrap(text, 0, width);
    let first = match &report.verdict {
        Verdict::NotChecked => paint.warning(&line("not verified: --verify checks signature, issuer and expiry")),
        Verdict::Valid(details) => paint.success(&line(&format!("valid: {details}"))),
        Verdict::NotValid(reason) => paint.failure(&line(&format!("not valid: {reason}"))),
    };
    let now = world.clock.unix_seconds();
    let rows = match &report.content {
        TokenContent::Jwt(Some((header, claims))) => jwt_rows(header, claims, now),
        TokenContent::AccessToken(Some(info)) => access_token_rows(info, now),
        TokenContent::Jwt(None) | TokenContent::AccessToken(None) => Vec::new(),
    };
    let wide = rows.iter().map(|(name, _)| name.chars().count()).filter(|wide| *wide <= MAX_NAME_COLUMNS);
    let wide = wide.max().unwrap_or_default().max(8);
    let mut text = format!("{first}\n");
    for (index, (name, value)) in rows.iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        let value = printable::wrap(value, wide + 2, width);
        text.push_str(&format!("{gap}{name:wide$}  {value}\n"));
    }
    text
}

type ReportRow = (String, String);

fn jwt_rows(header: &Map<String, Value>, claims: &Map<String, Value>, now: i64) -> Vec<ReportRow> {
    let mut rows: Vec<ReportRow> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let email_verified = claims.get("email_verified");
    if let Some(email) = claims.get("email") {
        let state = match email_verified {
            Some(Value::Bool(true)) => ", verified",
            Some(Value::Bool(false)) => ", not verified",
            _ => "",
        };
        row("email", format!("{}{state}", claim_text(email)));
    }
    for (name, claim) in [("subject", "sub"), ("issuer", "iss"), ("audience", "aud")] {
        if let Some(value) = claims.get(claim) {
            row(name, claim_text(value));
        }
    }
    if let Some(issued) = claims.get("iat") {
        row("issued", time_text(issued, now));
    }
    match claims.get("exp") {
        Some(end) if numeric_date(end).is_some_and(|end| end <= now) => row("expired", time_text(end, now)),
        Some(end) => row("expires", time_text(end, now)),
        None => row("expires", "unknown, there is no exp claim".to_owned()),
    }
    if let Some(start) = claims.get("nbf") {
        row("not before", time_text(start, now));
    }
    for (name, value) in claims {
        let known = ["email", "sub", "iss", "aud", "iat", "exp", "nbf"].contains(&name.as_str());
        let shown_with_email = name == "email_verified" && claims.contains_key("email") && value.is_boolean();
        if !known && !shown_with_email {
            row(&printable::text(name), claim_text(value));
        }
    }
    let header = header.iter().map(|(name, value)| format!("{} {}", printable::text(name), claim_text(value)));
    row("header", header.collect::<Vec<_>>().join(", "));
    rows
}

fn access_token_rows(info: &TokenInfo, now: i64) -> Vec<ReportRow> {
    let text = |text: &Option<String>| text.as_deref().map(printable::text);
    let scopes: Vec<String> = info.scopes.iter().map(|scope| printable::text(scope)).collect();
    let end = info.expires_at.map(|end| time_text(&Value::from(end), now));
    let rows = [
        ("account", text(&info.account)),
        ("subject", text(&info.subject)),
        ("audience", text(&info.audience)),
        ("scopes", (!scopes.is_empty()).then(|| scopes.join(" "))),
        ("expires", end),
        ("access", text(&info.access_type)),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The value of a claim: text, a list of texts separated by spaces, anything else as JSON.
fn claim_text(value: &Value) -> String {
    match value {
        Value::String(text) => printable::text(text),
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_string) => {
            list.iter().map(claim_text).collect::<Vec<_>>().join(" ")
        }
        other => printable::text(&other.to_string()),
    }
}

/// The distance of a time from now, and the exact time.
fn time_text(value: &Value, now: i64) -> String {
    let Some(unix) = numeric_date(value).filter(|unix| PRINTABLE_DATES.contains(unix)) else {
        return format!("not a time: {}", printable::text(&value.to_string()));
    };
    let distance = duration::humanize(unix.saturating_sub(now).saturating_abs());
    let exact = duration::rfc3339(unix);
    match unix > now {
        true => format!("in {distance} ({exact})"),
        false => format!("{distance} ago ({exact})"),
    }
}

#[derive(Serialize)]
struct InspectJson<'a, C> {
    kind: &'static str,
    valid: Option<bool>,
    reason: Option<&'a str>,
    #[serde(flatten)]
    content: C,
    expires_at: Option<String>,
    expires_in: Option<i64>,
}

#[derive(Serialize)]
struct InspectedJwtJson<'a> {
    header: Option<&'a Map<String, Value>>,
    claims: Option<&'a Map<String, Value>>,
    issued_at: Option<String>,
}

#[derive(Serialize)]
struct InspectedAccessTokenJson<'a> {
    account: Option<&'a str>,
    subject: Option<&'a str>,
    audience: Option<&'a str>,
    scopes: Option<&'a [String]>,
    access_type: Option<&'a str>,
}

/// The report as JSON. An unknown value is `null`; keys are never renamed.
pub(super) fn json(report: &InspectReport, now: i64) -> anyhow::Result<String> {
    let (valid, reason) = match &report.verdict {
        Verdict::NotChecked => (None, None),
        Verdict::Valid(_) => (Some(true), None),
        Verdict::NotValid(reason) => (Some(false), Some(reason.as_str())),
    };
    let at = |unix: i64| PRINTABLE_DATES.contains(&unix).then(|| duration::rfc3339(unix));
    let left = |unix: i64| unix.saturating_sub(now).max(0);
    let text = match &report.content {
        TokenContent::Jwt(read) => {
            let (header, claims) = read.as_ref().map(|(header, claims)| (header, claims)).unzip();
            let claim = |name: &str| claims.and_then(|claims| claims.get(name)).and_then(numeric_date);
            let end = claim("exp");
            serde_json::to_string_pretty(&InspectJson {
                kind: "jwt",
                valid,
                reason,
                content: InspectedJwtJson { header, claims, issued_at: claim("iat").and_then(at) },
                expires_at: end.and_then(at),
                expires_in: end.map(left),
            })?
        }
        TokenContent::AccessToken(info) => {
            let info = info.as_ref();
            let text = |field: fn(&TokenInfo) -> &Option<String>| info.and_then(|i| field(i).as_deref());
            let end = info.and_then(|info| info.expires_at);
            serde_json::to_string_pretty(&InspectJson {
                kind: "access_token",
                valid,
                reason,
                content: InspectedAccessTokenJson {
                    account: text(|info| &info.account),
                    subject: text(|info| &info.subject),
                    audience: text(|info| &info.audience),
                    scopes: info.map(|info| info.scopes.as_slice()),
                    access_type: text(|info| &info.access_type),
                },
                expires_at: end.and_then(at),
                expires_in: end.map(left),
            })?
        }
    };
    Ok(format!("{text}\n"))
}
