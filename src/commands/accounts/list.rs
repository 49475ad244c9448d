//! The list of logins, for people and for programs.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::accounts::{self, State};
use crate::discover::Search;
use crate::discover::logins::{self, Condition, Login};
use crate::error::Result;
use crate::flags::ReportFormat;
use crate::printable;
use crate::world::World;
use crate::world::terminal::Paint;

/// The widest that scopes get beside other columns.
const WIDEST_SCOPES: usize = 48;

/// The longest state that columns are made for; others are reasons.
const SHORT_STATE: usize = 18;

/// A line of the list.
pub(super) struct Row {
    login: Login,
    active: bool,
    condition: Condition,
    profiles: Vec<String>,
}

impl Row {
    /// What is known of a login.
    pub(super) fn of(login: Login, search: &Search<'_>, check: bool) -> Result<Row> {
        let world = search.world();
        let active = logins::active(search)?.is_some_and(|(name, keeper)| {
            keeper == login.keeper && name.eq_ignore_ascii_case(&login.account)
        });
        let profiles = State::read(world)?.profiles.into_iter();
        let profiles = profiles.filter(|(_, account)| {
            login.keeper == logins::Keeper::Gauth && account.eq_ignore_ascii_case(&login.account)
        });
        let condition = match check {
            // Each has the whole time: one server that is down tells nothing of the others.
            true => login.check(&search.settings.broker(world)),
            false => login.condition(world),
        };
        Ok(Row { active, condition, profiles: profiles.map(|(name, _)| name).collect(), login })
    }

    pub(super) fn login(&self) -> &Login {
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

    /// Its state in one line.
    pub(super) fn state(&self) -> String {
        match &self.condition {
            Condition::Good => "ok".to_owned(),
            Condition::MustSignIn(_) => "must sign in again".to_owned(),
            Condition::Broken(why) => format!("broken: {why}"),
            Condition::Failed(error) => format!("no token: {}", error.message()),
        }
    }

    fn painted(&self, state: &str, paint: Paint) -> String {
        match &self.condition {
            Condition::Good => state.to_owned(),
            Condition::MustSignIn(_) => paint.notable(state),
            Condition::Broken(_) | Condition::Failed(_) => paint.wrong(state),
        }
    }

    fn scopes(&self) -> Vec<String> {
        self.login.json.as_ref().map(scopes).unwrap_or_default()
    }
}

/// The scopes that a login names.
fn scopes(login: &Map<String, Value>) -> Vec<String> {
    let text = |scope: &Value| scope.as_str().map(str::to_owned);
    match login.get("scopes") {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(Value::String(list)) => list.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Scopes in one line, without what all of Google's begin with.
pub(super) fn in_short(scopes: &[String]) -> String {
    let short = |scope: &String| {
        let scope = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
        printable::text(scope)
    };
    scopes.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// A kind in a word or two.
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

/// All of them.
pub(super) fn report(search: &Search<'_>, check: bool, format: ReportFormat) -> Result<String> {
    let world = search.world();
    let logins = logins::all(search);
    if let Some(trouble) = &logins.trouble {
        world.terminal.warn(&format!("gcloud's logins are not listed, {trouble}"));
    }
    let rows = logins.all.into_iter().map(|login| Row::of(login, search, check));
    let rows: Vec<Row> = rows.collect::<Result<_>>()?;
    match format {
        ReportFormat::Text => Ok(table(&rows, world)),
        ReportFormat::Json => json(&rows),
    }
}

fn table(rows: &[Row], world: &World) -> String {
    if rows.is_empty() {
        return "no logins (gauth login makes one)\n".to_owned();
    }
    let paint = world.terminal.paint(world.streams.out_is_terminal);
    let mut columns = vec![
        column("ACCOUNT", rows, |row| printable::text(&row.login.account)),
        column("KIND", rows, Row::kind),
        column("FROM", rows, |row| row.login.keeper.name().to_owned()),
    ];
    let wide = |columns: &[Vec<String>]| -> usize {
        2 + columns.iter().map(|column| 2 + width(column)).sum::<usize>()
    };
    let states = column("STATE", rows, Row::state);
    let scopes = column("SCOPES", rows, |row| in_short(&row.scopes()));
    let some = scopes.iter().skip(1).any(|scopes| !scopes.is_empty());
    let room = wide(&columns) + 2 + width(&scopes) + width(&states);
    if some && width(&scopes) <= WIDEST_SCOPES && room <= world.terminal.width {
        columns.push(scopes);
    }
    // Long names stand alone, above the rest of their line; long states below it.
    let short_state = states.iter().map(|state| state.chars().count());
    let short_state = short_state.filter(|length| *length <= SHORT_STATE).max().unwrap_or(0);
    let others = wide(&columns[1..]) + 2;
    let room =
        world.terminal.width.saturating_sub(others + short_state).max(width(&columns[0][..1]));
    let account = columns[0].iter().map(|name| name.chars().count()).filter(|long| *long <= room);
    let account = account.max().unwrap_or(0);
    let mut text = String::new();
    for (index, state) in states.iter().enumerate() {
        let row = index.checked_sub(1).and_then(|index| rows.get(index));
        let mark = if row.is_some_and(|row| row.active) { '*' } else { ' ' };
        let name = &columns[0][index];
        let mut line = match name.chars().count() > account {
            true => format!("{mark} {name}\n  {:account$}  ", ""),
            false => format!("{mark} {name:account$}  "),
        };
        for column in &columns[1..] {
            line.push_str(&format!("{:wide$}  ", column[index], wide = width(column)));
        }
        let fits = others + account + state.chars().count() <= world.terminal.width;
        match (row, fits) {
            (None, _) => line.push_str(state),
            (Some(row), true) => line.push_str(&row.painted(state, paint)),
            (Some(row), false) => {
                let below = printable::wrapped(state, 4, world.terminal.width);
                line = format!("{}\n    {}", line.trim_end(), row.painted(&below, paint));
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

fn column(heading: &str, rows: &[Row], cell: impl Fn(&Row) -> String) -> Vec<String> {
    std::iter::once(heading.to_owned()).chain(rows.iter().map(cell)).collect()
}

fn width(column: &[String]) -> usize {
    column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0)
}

/// A login for programs.
#[derive(Serialize)]
pub(super) struct JsonRow<'a> {
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

impl<'a> JsonRow<'a> {
    /// What is known of it.
    pub(super) fn of(row: &'a Row) -> JsonRow<'a> {
        let (state, detail) = match &row.condition {
            Condition::Good => ("ok", None),
            Condition::MustSignIn(why) => ("must_sign_in_again", Some(why.clone())),
            Condition::Broken(why) => ("broken", Some(why.clone())),
            Condition::Failed(error) => ("no_token", Some(error.message().to_owned())),
        };
        let about = row.login.describe().ok();
        let json = row.login.json.as_ref().ok();
        let universe = about.as_ref().and_then(|about| about.universe_domain.clone());
        JsonRow {
            account: &row.login.account,
            kind: row.login.kind(),
            from: row.login.keeper.name(),
            active: row.active,
            state,
            detail,
            scopes: Some(row.scopes()).filter(|scopes| !scopes.is_empty()),
            file: printable::path(&row.login.file),
            profiles: &row.profiles,
            universe_domain: universe.or_else(|| row.login.universe.clone()),
            quota_project: about.and_then(|about| about.quota_project),
            signed_in_at: json.and_then(|json| json.get(accounts::SIGNED_IN)?.as_str()),
        }
    }
}

fn json(rows: &[Row]) -> Result<String> {
    let rows: Vec<JsonRow<'_>> = rows.iter().map(JsonRow::of).collect();
    Ok(super::pretty(&rows))
}
