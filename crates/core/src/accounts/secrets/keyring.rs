//! The keyring of the desktop, by the Secret Service API of D-Bus. A locked keyring asks the user for a password in a
//! window: gauth waits for a limited time, and does not wait at all where it cannot ask a user.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use keyring_core::Entry;
use secret_service::EncryptionType;
use secret_service::blocking::SecretService;
use zbus_secret_service_keyring_store::Store;
use zeroize::Zeroizing;

use crate::accounts::secrets::entry;
use crate::error::{Error, ErrorKind, Result};
use crate::text::printable;
use crate::world::threads;

/// The service name of gauth's entries.
const SERVICE_NAME: &str = "gauth";

/// The entry of an account, if there is one.
///
/// # Errors
/// `NoAnswer`, when the keyring is not available, locked, or does not answer in time.
pub(super) fn get(account: &str, timeout: Duration, is_interactive: bool) -> Result<Option<Zeroizing<Vec<u8>>>> {
    run_with_timeout(account, timeout, is_interactive, |entry| match entry.get_secret() {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })
}

/// Writes the entry of an account.
///
/// # Errors
/// As [`get`].
pub(super) fn put(account: &str, text: &[u8], timeout: Duration, is_interactive: bool) -> Result<()> {
    let text = Zeroizing::new(text.to_vec());
    run_with_timeout(account, timeout, is_interactive, move |entry| entry.set_secret(&text))
}

/// Removes the entry of an account.
///
/// # Errors
/// As [`get`].
pub(super) fn erase(account: &str, timeout: Duration, is_interactive: bool) -> Result<()> {
    run_with_timeout(account, timeout, is_interactive, |entry| match entry.delete_credential() {
        Err(keyring_core::Error::NoEntry) => Ok(()),
        done => done,
    })
}

/// Checks that gauth is built with support for a keyring.
///
/// # Errors
/// None in this build.
pub(super) fn check() -> Result<()> {
    Ok(())
}

/// Runs an operation on the entry of an account in a thread, which is abandoned when it takes too long.
fn run_with_timeout<T: Send + 'static>(
    account: &str,
    timeout: Duration,
    is_interactive: bool,
    operation: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = channel();
    let name = entry(account);
    let started = threads::spawn("keyring", move || {
        // The receiver is closed after the timeout.
        drop(sender.send(with_entry(&name, is_interactive, operation)));
    });
    // Without a thread the sender is dropped, and the wait below ends at once.
    drop(started);
    let shown = printable::text(account);
    let failed = |what: String, hint: &str| {
        let message = format!("the keyring, which has the login of {shown}, {what}");
        Err(Error::new(ErrorKind::NoAnswer, message).hint(hint))
    };
    const UNLOCK_HINT: &str = "unlock the keyring, then run the command again; or gauth login --store file";
    match receiver.recv_timeout(timeout) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(KeyringError::Locked)) => {
            failed("is locked, and gauth cannot ask for its password here".to_owned(), UNLOCK_HINT)
        }
        Ok(Err(KeyringError::Message(what))) => failed(
            format!("cannot be used: \"{}\"", printable::redacted(&what)),
            "check that a Secret Service runs (gnome-keyring, KWallet, KeePassXC); or gauth login --store file",
        ),
        Err(RecvTimeoutError::Timeout) => {
            failed(format!("is locked or does not answer, after {} s", timeout.as_secs()), UNLOCK_HINT)
        }
        Err(RecvTimeoutError::Disconnected) => failed("failed".to_owned(), UNLOCK_HINT),
    }
}

enum KeyringError {
    Locked,
    Message(String),
}

fn with_entry<T>(
    name: &str,
    is_interactive: bool,
    operation: impl FnOnce(&Entry) -> keyring_core::Result<T>,
) -> std::result::Result<T, KeyringError> {
    if !is_interactive {
        let service = SecretService::connect(EncryptionType::Plain);
        let service = service.map_err(|error| KeyringError::Message(error.to_string()))?;
        let locked = service.get_default_collection().and_then(|found| found.is_locked());
        match locked {
            Ok(false) | Err(secret_service::Error::NoResult) => {}
            Ok(true) => return Err(KeyringError::Locked),
            Err(error) => return Err(KeyringError::Message(error.to_string())),
        }
    }
    let keyring_error = |error: keyring_core::Error| match error {
        keyring_core::Error::NoStorageAccess(_) => KeyringError::Locked,
        error => KeyringError::Message(error.to_string()),
    };
    let store: std::sync::Arc<keyring_core::CredentialStore> = Store::new().map_err(keyring_error)?;
    let entry = Entry::new_in_store(&store, SERVICE_NAME, name).map_err(keyring_error)?;
    operation(&entry).map_err(keyring_error)
}
