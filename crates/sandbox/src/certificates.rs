//! The certificates of a run: a certificate authority that nothing else trusts, the server's certificate and a
//! client's.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use gauth_core::error::{Error, Result};
use gauth_core::http::server::tls::ServerTls;
use gauth_core::text::secret::Secret;

/// The common name in the client certificate.
pub(crate) const CLIENT_COMMON_NAME: &str = "workload.sandbox.example";

/// The certificates that are written into the sandbox's folder; the server's own stay in memory.
pub(crate) struct SandboxCertificates {
    /// The certificate authority's certificate as PEM.
    pub(crate) ca_pem: String,
    /// The client certificate as PEM.
    pub(crate) client_certificate_pem: String,
    /// The client certificate's private key as PEM.
    pub(crate) client_key_pem: Secret,
    /// The certificate authority's certificate as DER.
    pub(crate) ca_der: Vec<u8>,
}

impl SandboxCertificates {
    /// Generates the certificates, and the server's side of TLS.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub(crate) fn generate() -> Result<(SandboxCertificates, ServerTls)> {
        try_generate().map_err(|error| Error::unexpected(format!("the sandbox's certificates cannot be made, {error}")))
    }
}

fn try_generate() -> std::result::Result<(SandboxCertificates, ServerTls), Box<dyn std::error::Error>> {
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
    Ok((SandboxCertificates { ca_pem: ca.pem(), client_certificate_pem, client_key_pem, ca_der }, tls))
}

fn certificate_params(name: &str, hosts: &[&str]) -> std::result::Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// Issues a certificate; returns it and its key as PEM.
fn issue_certificate(
    ca: &CertifiedIssuer<'_, KeyPair>,
    mut params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
) -> std::result::Result<(String, Secret), rcgen::Error> {
    // Python's ssl module requires this extension.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, ca)?;
    Ok((certificate.pem(), Secret::new(key.serialize_pem())))
}
