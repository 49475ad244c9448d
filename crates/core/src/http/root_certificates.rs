//! The root certificates that servers are verified with, and how they are read.
//!
//! The first that is named wins: `--ca-file`, gcloud's `core/custom_ca_certs_file`, `SSL_CERT_FILE`. Without
//! one of these, as in most runs, the system's certificates are used, and where a slim container has none, those compiled
//! in. A file that is named must be usable: a fallback would trust certificates that the user did not choose.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error;
use crate::error::{Error, Result};
use crate::net::transport::RootCertificates;
use crate::text::printable;
use crate::world::files;

/// The largest file of certificates that is read: the largest bundle of any system is a quarter of it.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Where systems keep their bundle, the most frequent first.
#[cfg(not(any(windows, target_os = "macos")))]
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Gentoo, distroless
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, Red Hat
    "/etc/pki/tls/certs/ca-bundle.crt",   // older Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",             // SUSE
    "/etc/ssl/cert.pem",                  // Alpine, FreeBSD, OpenBSD
    "/usr/local/share/certs/ca-root-nss.crt", // older FreeBSD
    "/etc/openssl/certs/ca-certificates.crt", // NetBSD
    "/var/lib/ca-certificates/ca-bundle.pem", // openSUSE MicroOS
    "/opt/etc/ssl/certs/ca-certificates.crt", // Entware
];

/// The first source that names a file; later ones are not read.
pub fn select(
    flag: Option<(&str, &Path)>,
    gcloud: impl FnOnce() -> Option<PathBuf>,
    variable: impl FnOnce() -> Option<PathBuf>,
) -> RootCertificates {
    let file = |origin: &str, path: PathBuf| RootCertificates::File { origin: origin.to_owned(), path };
    if let Some((origin, path)) = flag {
        return file(origin, path.to_owned());
    }
    if let Some(path) = gcloud() {
        return file("gcloud's core/custom_ca_certs_file", path);
    }
    variable().map_or(RootCertificates::System, |path| file("SSL_CERT_FILE", path))
}

impl RootCertificates {
    /// Reads the certificates and makes of them what TLS wants.
    ///
    /// # Errors
    /// `Malformed`, naming flag or variable and file, when a named file cannot be used.
    pub fn tls_client_config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::unexpected(format!("TLS cannot be set up, {error}")))?;
        let store = match self {
            RootCertificates::File { origin: named_by, path } => load_file(named_by, path)?,
            #[cfg(any(windows, target_os = "macos"))]
            RootCertificates::System => {
                let verifier = rustls_platform_verifier::Verifier::new(provider)
                    .map_err(|error| Error::unexpected(format!("the system's certificates cannot be used, {error}")))?;
                // "Dangerous" is the name rustls has for every verifier but its own.
                return Ok(builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
                    .with_no_client_auth());
            }
            #[cfg(not(any(windows, target_os = "macos")))]
            RootCertificates::System => load_system(SYSTEM_BUNDLES),
        };
        Ok(builder.with_root_certificates(store).with_no_client_auth())
    }
}

/// The certificates of the file that `origin` names.
fn load_file(origin: &str, path: &Path) -> Result<RootCertStore> {
    let hint = || format!("{origin}: a PEM file with the certificate of the issuer");
    let unusable = |what: &str| Error::malformed(origin, format!("{} {what}", printable::path(path))).hint(hint());
    let bytes = match read_regular_file(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(unusable("is not a file of at most 4 MiB")),
        Err(reason) => {
            let reason = error::io_reason(&reason);
            return Err(unusable(&format!("cannot be read, {reason}")));
        }
    };
    match parse_pem(&bytes) {
        store if store.is_empty() => Err(unusable("holds no certificate")),
        store => Ok(store),
    }
}

/// The system's certificates; what cannot be read is passed over.
#[cfg(not(any(windows, target_os = "macos")))]
fn load_system(bundles: &[&str]) -> RootCertStore {
    bundles
        .iter()
        .filter_map(|path| read_regular_file(Path::new(path)).ok().flatten())
        .map(|bytes| parse_pem(&bytes))
        .find(|store| !store.is_empty())
        .unwrap_or_else(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// The whole of a regular file, `None` where it is none or too large.
fn read_regular_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    // Asked before opening: opening a named pipe would wait for its writer.
    let metadata = files::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    files::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_FILE_BYTES))
}

/// Every certificate in a PEM text. Bundles contain comments and sometimes a certificate that is not valid: both are skipped.
fn parse_pem(pem: &[u8]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(|one| one.ok()));
    store
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn path(text: &str) -> Option<PathBuf> {
        Some(PathBuf::from(text))
    }

    #[track_caller]
    fn check(flag: Option<&str>, gcloud: Option<&str>, variable: Option<&str>, wins: Option<&str>) {
        let flag = flag.map(|flag| ("--ca-file", Path::new(flag)));
        let chosen = select(flag, || gcloud.and_then(path), || variable.and_then(path));
        match (chosen, wins) {
            (RootCertificates::System, None) => {}
            (RootCertificates::File { origin: named_by, path }, Some(wins)) => {
                assert_eq!(format!("{named_by} {}", path.display()), wins);
            }
            (chosen, _) => panic!("{chosen:?}"),
        }
    }

    #[test]
    fn the_flag_wins_then_gcloud_then_the_variable_then_the_system() {
        let gcloud = "gcloud's core/custom_ca_certs_file /g";
        check(Some("/f"), Some("/g"), Some("/v"), Some("--ca-file /f"));
        check(Some("/f"), None, None, Some("--ca-file /f"));
        check(None, Some("/g"), Some("/v"), Some(gcloud));
        check(None, Some("/g"), None, Some(gcloud));
        check(None, None, Some("/v"), Some("SSL_CERT_FILE /v"));
        check(None, None, None, None);
    }

    #[test]
    fn later_places_are_not_asked_when_an_earlier_one_names_a_file() {
        let chosen = select(
            Some(("--ca-file", Path::new("/f"))),
            || panic!("gcloud was asked"),
            || panic!("the variable was asked"),
        );
        assert_ne!(chosen, RootCertificates::System);
    }

    #[track_caller]
    fn refused(path: &Path, says: &str) {
        let trust = RootCertificates::File { origin: "SSL_CERT_FILE".to_owned(), path: path.to_owned() };
        let error = trust.tls_client_config().expect_err("unusable");
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().starts_with("SSL_CERT_FILE: "), "{error}");
        assert!(error.message().ends_with(says), "{error}");
    }

    #[test]
    fn a_named_file_that_cannot_be_used_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("folder");
        let missing = folder.path().join("missing.pem");
        refused(&missing, "missing.pem cannot be read, no such file or directory");
        let empty = folder.path().join("empty.pem");
        std::fs::File::create(&empty).expect("file");
        refused(&empty, "empty.pem holds no certificate");
        refused(folder.path(), "is not a file of at most 4 MiB");
        let large = folder.path().join("large.pem");
        std::fs::File::create(&large).expect("file").set_len(MAX_FILE_BYTES + 1).expect("length");
        refused(&large, "large.pem is not a file of at most 4 MiB");
    }

    #[cfg(not(any(windows, target_os = "macos")))]
    #[test]
    fn without_any_bundle_the_compiled_in_certificates_are_used() {
        let folder = tempfile::tempdir().expect("folder");
        let missing = folder.path().join("missing.pem");
        let store = load_system(&[missing.to_str().expect("path")]);
        assert_eq!(store.len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
