//! Certificates for one run: an issuer that nobody else trusts, the server's, and a client's.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use gauth_core::error::{Error, Result};
use gauth_core::http::server::tls::ServerTls;
use gauth_core::text::secret::Secret;

/// The name of the client, as its certificate has it.
pub(super) const CLIENT_COMMON_NAME: &str = "workload.sandbox.example";

/// What is written into the folder; the server's own go to the server and nowhere else.
pub(super) struct SandboxCertificates {
    /// The issuer, PEM.
    pub(super) ca_pem: String,
    /// The client's certificate, PEM.
    pub(super) client_certificate_pem: String,
    /// Its key, PEM.
    pub(super) client_key_pem: Secret,
    /// The issuer, DER.
    pub(super) ca_der: Vec<u8>,
}

impl SandboxCertificates {
    /// Makes all of them, and the server's side of TLS.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn generate() -> Result<(SandboxCertificates, ServerTls)> {
        try_generate().map_err(|error| {
            Error::unexpected(format!("the sandbox's certificates cannot be made, {error}"))
        })
    }
}

fn try_generate()
-> std::result::Result<(SandboxCertificates, ServerTls), Box<dyn std::error::Error>> {
    let mut params = certificate_params("the sandbox's issuer", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let (server, server_key) = issue_certificate(
        &ca,
        certificate_params("the sandbox", &["127.0.0.1", "localhost"])?,
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    let (client_certificate_pem, client_key_pem) = issue_certificate(
        &ca,
        certificate_params(CLIENT_COMMON_NAME, &[CLIENT_COMMON_NAME])?,
        ExtendedKeyUsagePurpose::ClientAuth,
    )?;
    let tls = ServerTls::new(&server, &server_key, &ca.pem())?;
    let ca_der = ca.der().to_vec();
    Ok((
        SandboxCertificates { ca_pem: ca.pem(), client_certificate_pem, client_key_pem, ca_der },
        tls,
    ))
}

fn certificate_params(
    name: &str,
    hosts: &[&str],
) -> std::result::Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// A certificate and its key, both PEM.
fn issue_certificate(
    ca: &CertifiedIssuer<'_, KeyPair>,
    mut params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
) -> std::result::Result<(String, Secret), rcgen::Error> {
    // Python's ssl wants to be told who issued it.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, ca)?;
    Ok((certificate.pem(), Secret::new(key.serialize_pem())))
}
