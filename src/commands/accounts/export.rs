//! `gauth accounts show --export`: a login in a file of its own, as Google's libraries read it.

use std::path::Path;

use crate::accounts;
use crate::accounts::shape::{self, Exported};
use crate::commands::accounts::pretty;
use crate::discover::Search;
use crate::discover::logins::{Keeper, Login};
use crate::error::{Error, Result, io_reason};
use crate::flags::ReportFormat;
use crate::printable;
use crate::private_file::{self, Durability};

/// Where to, and how.
pub(super) struct To<'a> {
    pub(super) path: &'a Path,
    pub(super) without: &'a [String],
    pub(super) replace: bool,
}

/// Writes it, and says so.
///
/// # Errors
/// When the login cannot be read, or the file may not or cannot be written.
pub(super) fn write(
    login: &Login,
    to: &To<'_>,
    search: &Search<'_>,
    format: ReportFormat,
) -> Result<String> {
    let world = search.world();
    let json = login.content(search)?;
    Exported::of(&json, to.without)?;
    let (folder, name) = place(to)?;
    let json = match login.keeper {
        Keeper::Gauth => accounts::share(&login.account, &search.settings.vaults, world)?,
        Keeper::Gcloud => shape::newest(json, world)?,
    };
    let exported = Exported::of(&json, to.without)?;
    let written =
        private_file::write(&folder, &name, &exported.text(), Durability::Durable, &*world.random);
    let shown = printable::path(to.path);
    written.map_err(|error| {
        Error::unexpected(format!("--export {shown}: cannot be written, {}", io_reason(&error)))
            .hint(format!("ls -ld {}", printable::path(&folder)))
    })?;
    Ok(match format {
        ReportFormat::Text => {
            format!("exported {} to {shown}\n", printable::text(&login.account))
        }
        ReportFormat::Json => pretty(&serde_json::json!({
            "account": login.account,
            "file": to.path.to_string_lossy(),
        })),
    })
}

/// The folder and the name of the file.
fn place(to: &To<'_>) -> Result<(std::path::PathBuf, String)> {
    let shown = printable::path(to.path);
    if to.path.as_os_str() == "-" {
        return Err(Error::not_safe(
            "--export - would put a login on standard output, where it ends in logs",
        )
        .hint("--export FILE writes a private file"));
    }
    let absolute = std::path::absolute(to.path).ok();
    let parts = absolute.as_deref().and_then(|path| Some((path.parent()?, path.file_name()?)));
    let Some((folder, name)) = parts else {
        return Err(Error::usage(format!("--export {shown}: names no file"))
            .hint("--export ada.json, or any other path"));
    };
    match to.path.symlink_metadata() {
        Ok(about) if about.is_dir() => {
            Err(Error::usage(format!("--export {shown}: is a folder")).hint("name a file in it"))
        }
        Ok(_) if !to.replace => Err(Error::not_safe(format!("--export {shown}: is there already"))
            .hint("--force replaces it")),
        _ => Ok((folder.to_owned(), name.to_string_lossy().into_owned())),
    }
}
