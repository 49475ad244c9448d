//! `gauth accounts show --export`: writes a login to a credential file that Google's libraries read.

use std::path::Path;

use crate::commands::accounts::to_pretty_json;
use crate::flags::ReportFormat;
use gauth_core::accounts;
use gauth_core::accounts::export_format::ExportedCredential;
use gauth_core::discovery::Discovery;
use gauth_core::discovery::logins::{LoginStore, StoredLogin};
use gauth_core::error::{Error, Result, io_reason};
use gauth_core::text::printable;
use gauth_core::world::private_file::WriteDurability;
use gauth_core::world::{files, private_file};

/// The file to write, and how.
pub(super) struct ExportTarget<'a> {
    pub(super) path: &'a Path,
    pub(super) omitted_fields: &'a [String],
    pub(super) replace: bool,
}

/// Writes the file, and returns the text to print.
///
/// # Errors
/// When the login cannot be read, or the file may not or cannot be written.
pub(super) fn write(
    login: &StoredLogin,
    target: &ExportTarget<'_>,
    discovery: &Discovery<'_>,
    format: ReportFormat,
) -> Result<String> {
    let world = discovery.world();
    let json = login.json_with_secrets(discovery)?;
    ExportedCredential::new(&json, target.omitted_fields)?;
    let (folder, name) = resolve_path(target)?;
    let json = match login.store {
        LoginStore::Gauth => accounts::mark_shared(&login.account, &discovery.secret_stores(), world)?,
        LoginStore::Gcloud => accounts::with_newest_refresh_token(json, world)?,
    };
    let exported = ExportedCredential::new(&json, target.omitted_fields)?;
    let written =
        private_file::write_atomic(&folder, &name, &exported.to_json_bytes(), WriteDurability::Durable, &*world.random);
    let shown = printable::path(target.path);
    written.map_err(|error| {
        Error::unexpected(format!("--export {shown}: cannot be written, {}", io_reason(&error)))
            .hint(format!("ls -ld {}", printable::path(&folder)))
    })?;
    Ok(match format {
        ReportFormat::Text => {
            format!("exported {} to {shown}\n", printable::text(&login.account))
        }
        ReportFormat::Json => to_pretty_json(&serde_json::json!({
            "account": login.account,
            "file": target.path.to_string_lossy(),
        })),
    })
}

/// Splits the path of the file into its folder and its name.
fn resolve_path(target: &ExportTarget<'_>) -> Result<(std::path::PathBuf, String)> {
    let shown = printable::path(target.path);
    if target.path.as_os_str() == "-" {
        return Err(Error::not_safe("--export - would put a login on standard output, where it ends in logs")
            .hint("--export FILE writes a private file"));
    }
    let absolute = std::path::absolute(target.path).ok();
    let folder_and_name = absolute.as_deref().and_then(|path| Some((path.parent()?, path.file_name()?)));
    let Some((folder, name)) = folder_and_name else {
        return Err(
            Error::usage(format!("--export {shown}: names no file")).hint("--export ada.json, or any other path")
        );
    };
    match files::symlink_metadata(target.path) {
        Ok(about) if about.is_dir() => {
            Err(Error::usage(format!("--export {shown}: is a folder")).hint("name a file in it"))
        }
        Ok(_) if !target.replace => {
            Err(Error::not_safe(format!("--export {shown} exists already")).hint("--force replaces it"))
        }
        _ => Ok((folder.to_owned(), name.to_string_lossy().into_owned())),
    }
}
