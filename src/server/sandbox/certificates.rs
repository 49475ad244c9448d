//! Certificates for one run: an issuer that nobody else trusts, the server's, and a client's.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::server::tls::Tls;

/// The name of the client, as its certificate has it.
pub(super) const CLIENT: &str = "workload.sandbox.example";

/// What is written into the folder; the server's own go to the server and nowhere else.
pub(super) struct Certificates {
    /// The issuer, PEM.
    pub(super) issuer: String,
    /// The client's certificate, PEM.
    pub(super) client: String,
    /// Its key, PEM.
    pub(super) client_key: Secret,
    /// The issuer, DER.
    pub(super) issuer_der: Vec<u8>,
}

impl Certificates {
    /// Makes all of them, and the server's side of TLS.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn make() -> Result<(Certificates, Tls)> {
        made().map_err(|error| {
            Error::unexpected(format!("the sandbox's certificates cannot be made, {error}"))
        })
    }
}

fn made() -> std::result::Result<(Certificates, Tls), Box<dyn std::error::Error>> {
    let mut params = named("the sandbox's issuer", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let (server, server_key) = issued(
        &issuer,
        named("the sandbox", &["127.0.0.1", "localhost"])?,
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    let (client, client_key) =
        issued(&issuer, named(CLIENT, &[CLIENT])?, ExtendedKeyUsagePurpose::ClientAuth)?;
    let tls = Tls::new(&server, &server_key, &issuer.pem())?;
    let issuer_der = issuer.der().to_vec();
    Ok((Certificates { issuer: issuer.pem(), client, client_key, issuer_der }, tls))
}

fn named(name: &str, hosts: &[&str]) -> std::result::Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// A certificate and its key, both PEM.
fn issued(
    issuer: &CertifiedIssuer<'_, KeyPair>,
    mut params: CertificateParams,
    purpose: ExtendedKeyUsagePurpose,
) -> std::result::Result<(String, Secret), rcgen::Error> {
    // Python's ssl wants to be told who issued it.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), Secret::new(key.serialize_pem())))
}
