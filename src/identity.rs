//! Client certificates: read, checked against their key, and handed to TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::{Error, Result};
use crate::http::Identity;
use crate::{printable, private_file};

/// Largest file of certificates or key, in bytes.
const LARGEST: usize = 64 * 1024;

/// Whether certificate and key can be used, and belong together.
///
/// # Errors
/// Malformed, naming the file and what named it.
pub fn check(identity: &Identity) -> Result<()> {
    certified(identity).map(drop)
}

/// Has a client show this certificate to servers that ask for one.
///
/// # Errors
/// As [`check`].
pub fn shown_by(mut client: ClientConfig, identity: &Identity) -> Result<ClientConfig> {
    let certified = certified(identity)?;
    client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    Ok(client)
}

fn certified(identity: &Identity) -> Result<CertifiedKey> {
    let certificates = certificates(identity)?;
    let key = key(identity)?;
    CertifiedKey::from_der(certificates, key, &default_provider()).map_err(|error| {
        let (certificate, key) =
            (printable::path(&identity.certificate), printable::path(&identity.key));
        let what = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("{key} is not the key of the certificate {certificate}")
            }
            _ => format!("{certificate} and {key} cannot be used for TLS"),
        };
        Error::malformed(&identity.named_by, what)
            .hint("make both anew together: the certificate and the private key of one request")
    })
}

fn certificates(identity: &Identity) -> Result<Vec<CertificateDer<'static>>> {
    let path = &identity.certificate;
    let pem = read(path, identity)?;
    let list: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match list {
        Ok(list) if list.is_empty() => Err(unusable(path, identity, "holds no certificate in PEM")),
        Ok(list) => Ok(list),
        Err(_) => Err(unusable(path, identity, "holds a broken PEM")),
    }
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>> {
    let path = &identity.key;
    let pem = read(path, identity)?;
    let mut keys = PrivateKeyDer::pem_slice_iter(&pem);
    match (keys.next(), keys.next()) {
        (Some(Ok(key)), None) => Ok(key),
        (Some(Ok(_)), Some(_)) => Err(unusable(path, identity, "holds more than one private key")),
        (Some(Err(_)), _) => Err(unusable(path, identity, "holds a broken PEM")),
        (None, _) => {
            Err(unusable(path, identity, "holds no private key in PEM, or an encrypted one"))
        }
    }
}

fn read(path: &Path, identity: &Identity) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let place = format!("{} ({})", printable::path(path), identity.named_by);
    private_file::read_named(path, LARGEST).map_err(|fault| fault.at(path, &place))
}

fn unusable(path: &Path, identity: &Identity, what: &str) -> Error {
    Error::malformed(&identity.named_by, format!("{} {what}", printable::path(path)))
        .hint("a certificate and its unencrypted private key, each in PEM")
}
