//! `gauth accounts list`: the stored logins as a table or as JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::flags::ReportFormat;
use gauth_core::accounts::AccountSelection;
use gauth_core::discovery::logins::{LoginState, StoredLogin};
use gauth_core::discovery::{Discovery, logins};
use gauth_core::error::Result;
use gauth_core::text::printable;
use gauth_core::world::World;
use gauth_core::world::terminal::TextStyle;
use gauth_core::{accounts, discovery};

/// The maximum width of the scopes column. Wider scopes are not shown.
const MAX_SCOPES_COLUMNS: usize = 48;

/// The longest state that counts for the width of the table. Longer ones are reasons.
const MAX_STATE_COLUMNS: usize = 18;

/// A login with its state.
pub(super) struct AccountRow {
    login: StoredLogin,
    active: bool,
    condition: LoginState,
    profiles: Vec<String>,
}

impl AccountRow {
    /// Determines the state of a login: by a request to its server with `check`, or else without one.
    pub(super) fn of(login: StoredLogin, discovery: &Discovery<'_>, check: bool) -> Result<AccountRow> {
        let world = discovery.world();
        let active = logins::active_account(discovery)?
            .is_some_and(|(name, keeper)| keeper == login.store && name.eq_ignore_ascii_case(&login.account));
        let profiles = AccountSelection::read(world)?.profiles.into_iter();
        let profiles = profiles.filter(|(_, account)| {
            login.store == logins::LoginStore::Gauth && account.eq_ignore_ascii_case(&login.account)
        });
        let condition = match check {
            // Each login has a broker with the whole timeout, because a server that is down must not affect other logins.
            true => login.check_with_server(&discovery::broker(discovery.config, world)),
            false => login.local_state(world),
        };
        Ok(AccountRow { active, condition, profiles: profiles.map(|(name, _)| name).collect(), login })
    }

    pub(super) fn login(&self) -> &StoredLogin {
        &self.login
    }

    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn profiles(&self) -> &[String] {
        &self.profiles
    }

    fn kind(&self) -> String {
        self.login.kind().map_or_else(|| "not known".to_owned(), short_kind)
    }

    /// The state in one line.
    pub(super) fn state(&self) -> String {
        match &self.condition {
            LoginState::Usable => "ok".to_owned(),
            LoginState::LoginRequired(_) => "must sign in again".to_owned(),
            LoginState::Unreadable(why) => format!("broken: {why}"),
            LoginState::CheckFailed(error) => format!("no token: {}", error.message()),
        }
    }

    fn styled_state(&self, state: &str, paint: TextStyle) -> String {
        match &self.condition {
            LoginState::Usable => state.to_owned(),
            LoginState::LoginRequired(_) => paint.warning(state),
            LoginState::Unreadable(_) | LoginState::CheckFailed(_) => paint.failure(state),
        }
    }

    fn scopes(&self) -> Vec<String> {
        self.login.json.as_ref().map(scopes).unwrap_or_default()
    }
}

/// The scopes in the JSON of a login.
fn scopes(login: &Map<String, Value>) -> Vec<String> {
    let text = |scope: &Value| scope.as_str().map(str::to_owned);
    match login.get("scopes") {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(Value::String(list)) => list.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Scopes in one line, without the prefix of Google's scopes.
pub(super) fn short_scopes(scopes: &[String]) -> String {
    let short = |scope: &String| {
        let scope = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
        printable::text(scope)
    };
    scopes.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// A short name for a credential type.
fn short_kind(kind: &str) -> String {
    match kind {
        "authorized_user" => "user",
        "service_account" => "service account",
        "external_account" => "federated identity",
        "external_account_authorized_user" => "workforce user",
        "openid_login" => "OpenID user",
        "impersonated_service_account" => "impersonated",
        "gdch_service_account" => "service account of GDC",
        "gce" => "machine",
        other => return printable::text(other),
    }
    .to_owned()
}

/// The report about all logins.
pub(super) fn report(discovery: &Discovery<'_>, check: bool, format: ReportFormat) -> Result<String> {
    let world = discovery.world();
    let logins = logins::all(discovery);
    if let Some(error) = &logins.gcloud_error {
        world.terminal.warn(&format!("gcloud's logins are not listed, {error}"));
    }
    let rows = logins.all.into_iter().map(|login| AccountRow::of(login, discovery, check));
    let rows: Vec<AccountRow> = rows.collect::<Result<_>>()?;
    match format {
        ReportFormat::Text => Ok(render_table(&rows, world)),
        ReportFormat::Json => to_json(&rows),
    }
}

fn render_table(rows: &[AccountRow], world: &World) -> String {
    if rows.is_empty() {
        return "no logins (gauth login makes one)\n".to_owned();
    }
    let paint = world.terminal.text_style(world.streams.stdout_is_terminal);
    let mut columns = vec![
        column("ACCOUNT", rows, |row| printable::text(&row.login.account)),
        column("KIND", rows, AccountRow::kind),
        column("FROM", rows, |row| row.login.store.name().to_owned()),
    ];
    let total_width =
        |columns: &[Vec<String>]| -> usize { 2 + columns.iter().map(|column| 2 + column_width(column)).sum::<usize>() };
    let states = column("STATE", rows, AccountRow::state);
    let scopes = column("SCOPES", rows, |row| short_scopes(&row.scopes()));
    let has_scopes = scopes.iter().skip(1).any(|scopes| !scopes.is_empty());
    let available = total_width(&columns) + 2 + column_width(&scopes) + column_width(&states);
    if has_scopes && column_width(&scopes) <= MAX_SCOPES_COLUMNS && available <= world.terminal.width {
        columns.push(scopes);
    }
    // Long names have a line of their own above the other columns, and long states below.
    let short_state = states.iter().map(|state| state.chars().count());
    let short_state = short_state.filter(|length| *length <= MAX_STATE_COLUMNS).max().unwrap_or(0);
    let other_columns_width = total_width(&columns[1..]) + 2;
    let available =
        world.terminal.width.saturating_sub(other_columns_width + short_state).max(column_width(&columns[0][..1]));
    let account_width = columns[0].iter().map(|name| name.chars().count()).filter(|length| *length <= available);
    let account_width = account_width.max().unwrap_or(0);
    let mut text = String::new();
    for (index, state) in states.iter().enumerate() {
        let row = index.checked_sub(1).and_then(|index| rows.get(index));
        let marker = if row.is_some_and(|row| row.active) { '*' } else { ' ' };
        let name = &columns[0][index];
        let mut line = match name.chars().count() > account_width {
            true => format!("{marker} {name}\n  {:account_width$}  ", ""),
            false => format!("{marker} {name:account_width$}  "),
        };
        for column in &columns[1..] {
            line.push_str(&format!("{:width$}  ", column[index], width = column_width(column)));
        }
        let fits = other_columns_width + account_width + state.chars().count() <= world.terminal.width;
        match (row, fits) {
            (None, _) => line.push_str(state),
            (Some(row), true) => line.push_str(&row.styled_state(state, paint)),
            (Some(row), false) => {
                let below = printable::wrap(state, 4, world.terminal.width);
                line = format!("{}\n    {}", line.trim_end(), row.styled_state(&below, paint));
            }
        }
        text.push_str(&match row {
            None => paint.heading(&line),
            Some(_) => line,
        });
        text.push('\n');
    }
    text
}

fn column(heading: &str, rows: &[AccountRow], cell: impl Fn(&AccountRow) -> String) -> Vec<String> {
    std::iter::once(heading.to_owned()).chain(rows.iter().map(cell)).collect()
}

fn column_width(column: &[String]) -> usize {
    column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0)
}

/// The JSON output for a login.
#[derive(Serialize)]
pub(super) struct AccountJson<'a> {
    account: &'a str,
    kind: Option<&'a str>,
    from: &'static str,
    active: bool,
    state: &'static str,
    detail: Option<String>,
    scopes: Option<Vec<String>>,
    file: String,
    profiles: &'a [String],
    universe_domain: Option<String>,
    quota_project: Option<String>,
    signed_in_at: Option<&'a str>,
}

impl<'a> AccountJson<'a> {
    /// Converts a login with its state.
    pub(super) fn of(row: &'a AccountRow) -> AccountJson<'a> {
        let (state, detail) = match &row.condition {
            LoginState::Usable => ("ok", None),
            LoginState::LoginRequired(why) => ("must_sign_in_again", Some(why.clone())),
            LoginState::Unreadable(why) => ("broken", Some(why.clone())),
            LoginState::CheckFailed(error) => ("no_token", Some(error.message().to_owned())),
        };
        let info = row.login.load_info().ok();
        let json = row.login.json.as_ref().ok();
        let universe = info.as_ref().and_then(|about| about.universe_domain.clone());
        AccountJson {
            account: &row.login.account,
            kind: row.login.kind(),
            from: row.login.store.name(),
            active: row.active,
            state,
            detail,
            scopes: Some(row.scopes()).filter(|scopes| !scopes.is_empty()),
            file: printable::path(&row.login.file),
            profiles: &row.profiles,
            universe_domain: universe.or_else(|| row.login.universe_domain.clone()),
            quota_project: info.and_then(|about| about.quota_project),
            signed_in_at: json.and_then(|json| json.get(accounts::fields::SIGNED_IN_AT)?.as_str()),
        }
    }
}

fn to_json(rows: &[AccountRow]) -> Result<String> {
    let rows: Vec<AccountJson<'_>> = rows.iter().map(AccountJson::of).collect();
    Ok(super::to_pretty_json(&rows))
}
