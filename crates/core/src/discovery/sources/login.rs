//! The step for gauth's own logins.

use std::path::PathBuf;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::accounts;
use crate::accounts::Origin;
use crate::config::Source;
use crate::credentials::unparsed::DeferredFile;
use crate::discovery::sources::environment::parse_options;
use crate::discovery::{Discovery, Lookup};
use crate::error::{Error, ErrorKind, Result};
use crate::text::printable;
use crate::tokens::credential::Credential;

/// The active account, which `gauth login` and `gauth accounts use` set.
pub(super) fn active_login(search: &Discovery<'_>) -> Result<Lookup> {
    let Some(name) = accounts::active_account(search.world())? else {
        return Ok(Lookup::NotSet("none".to_owned()));
    };
    match find_account(search, &name)? {
        Some(credential) => Ok(Lookup::found(Source::Login, credential)),
        None => {
            let name = printable::text(&name);
            let message = format!("gauth's active account {name} has no stored login");
            Err(Error::new(ErrorKind::NoCredential, message)
                .hint(format!("gauth login --account {name}, or gauth accounts use ACCOUNT")))
        }
    }
}

/// The login of an account.
pub(super) fn find_account(search: &Discovery<'_>, name: &str) -> Result<Option<Rc<dyn Credential>>> {
    let stored = accounts::load(name, search.world())?;
    Ok(stored.map(|(path, text)| stored_login(search, name, path, text)))
}

/// The login in a file of gauth's accounts folder.
pub(in crate::discovery) fn stored_login(
    search: &Discovery<'_>,
    name: &str,
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
) -> Rc<dyn Credential> {
    let mut options = parse_options(search, printable::path(&path));
    options.origin = Origin::Own(path);
    options.secret_stores = Some(search.secret_stores());
    options.account = Some(name.to_owned());
    options.sign_in_hint = format!("gauth login --account {}", printable::text(name));
    Rc::new(DeferredFile::new(text, options))
}
