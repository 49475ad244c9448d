//! Client certificates: read, checked against their key, and handed to TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::{Error, Result};
use crate::net::message::ClientCertificate;
use crate::text::printable;
use crate::world::private_file;

/// Largest file of certificates or key, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// Whether certificate and key can be used, and belong together.
///
/// # Errors
/// Malformed, naming the file and what named it.
pub fn check_key_pair(client_certificate: &ClientCertificate) -> Result<()> {
    load_certified_key(client_certificate).map(drop)
}

/// Configures a client to present this certificate to servers that request one (mutual TLS).
///
/// # Errors
/// As [`check_key_pair`].
pub fn with_client_certificate(
    mut tls_config: ClientConfig,
    client_certificate: &ClientCertificate,
) -> Result<ClientConfig> {
    let certified_key = load_certified_key(client_certificate)?;
    tls_config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified_key));
    Ok(tls_config)
}

fn load_certified_key(client_certificate: &ClientCertificate) -> Result<CertifiedKey> {
    let certificates = read_certificates(client_certificate)?;
    let key = read_private_key(client_certificate)?;
    CertifiedKey::from_der(certificates, key, &default_provider()).map_err(|error| {
        let (certificate, key) =
            (printable::path(&client_certificate.certificate_path), printable::path(&client_certificate.key_path));
        let what = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("{key} is not the key of the certificate {certificate}")
            }
            _ => format!("{certificate} and {key} cannot be used for TLS"),
        };
        Error::malformed(&client_certificate.origin, what)
            .hint("make both anew together: the certificate and the private key of one request")
    })
}

fn read_certificates(client_certificate: &ClientCertificate) -> Result<Vec<CertificateDer<'static>>> {
    let path = &client_certificate.certificate_path;
    let pem = read_file(path, client_certificate)?;
    let list: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match list {
        Ok(list) if list.is_empty() => {
            Err(unusable_file_error(path, client_certificate, "holds no certificate in PEM"))
        }
        Ok(list) => Ok(list),
        Err(_) => Err(unusable_file_error(path, client_certificate, "holds a broken PEM")),
    }
}

fn read_private_key(client_certificate: &ClientCertificate) -> Result<PrivateKeyDer<'static>> {
    let path = &client_certificate.key_path;
    let pem = read_file(path, client_certificate)?;
    let mut keys = PrivateKeyDer::pem_slice_iter(&pem);
    match (keys.next(), keys.next()) {
        (Some(Ok(key)), None) => Ok(key),
        (Some(Ok(_)), Some(_)) => Err(unusable_file_error(path, client_certificate, "holds more than one private key")),
        (Some(Err(_)), _) => Err(unusable_file_error(path, client_certificate, "holds a broken PEM")),
        (None, _) => {
            Err(unusable_file_error(path, client_certificate, "holds no private key in PEM, or an encrypted one"))
        }
    }
}

fn read_file(path: &Path, client_certificate: &ClientCertificate) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let location = format!("{} ({})", printable::path(path), client_certificate.origin);
    private_file::read_user_file(path, MAX_FILE_BYTES).map_err(|fault| fault.to_error(path, &location))
}

fn unusable_file_error(path: &Path, client_certificate: &ClientCertificate, what: &str) -> Error {
    Error::malformed(&client_certificate.origin, format!("{} {what}", printable::path(path)))
        .hint("a certificate and its unencrypted private key, each in PEM")
}
