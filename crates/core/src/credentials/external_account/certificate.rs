//! Client certificates as subject tokens: the STS sees the same certificate in the TLS handshake (AIP-4118).

use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::credentials::ParseOptions;
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource, x509};
use crate::error::{Error, Result};
use crate::gcloud;
use crate::http::client_certificate;
use crate::net::message::ClientCertificate;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::{json, printable};
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::{World, env, private_file};

/// Largest file of certificates or of a key, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// How often files that do not match are read again: a rotation replaces them one after the other.
const MAX_KEY_PAIR_ATTEMPTS: u32 = 4;
/// The pause before they are read again.
const KEY_PAIR_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A certificate and its key, by the file that names both.
struct CertificateSource {
    /// `None`: the path where Google's libraries look.
    config_path: Option<PathBuf>,
    /// The PEM file with the certificate's issuers.
    trust_chain_path: Option<PathBuf>,
    location: String,
}

/// Reads the fields of the source.
///
/// # Errors
/// `Malformed`, naming the field.
pub(super) fn parse(
    mut source: JsonFields,
    request: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = parse_options.field_error("credential_source.");
    let fields = source.object("certificate").map_err(malformed)?;
    let mut fields = fields.ok_or_else(|| malformed("certificate is missing".to_owned()))?;
    let malformed = parse_options.field_error("credential_source.certificate.");
    let use_default_config = fields.boolean("use_default_certificate_config").map_err(malformed)?;
    let config_path = fields.path("certificate_config_location").map_err(malformed)?;
    let trust_chain_path = fields.path("trust_chain_path").map_err(malformed)?;
    match (use_default_config == Some(true), config_path) {
        (true, Some(_)) => {
            Err(malformed("certificate_config_location and use_default_certificate_config are both set".to_owned()))
        }
        (false, None) => Err(malformed(
            "certificate_config_location is missing, and use_default_certificate_config is not true".to_owned(),
        )),
        (_, config) => Ok(Box::new(CertificateSource {
            config_path: config,
            trust_chain_path,
            location: request.location.clone(),
        })),
    }
}

impl SubjectTokenSource for CertificateSource {
    fn metrics_name(&self) -> &'static str {
        "x509"
    }

    fn location(&self) -> String {
        "the client certificate".to_owned()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("certificate");
        for path in [&self.config_path, &self.trust_chain_path] {
            hasher.add_optional(path.as_ref().map(|path| path.to_string_lossy()).as_deref());
        }
    }

    fn subject_token(&self, _: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        let key_pair = self.read_config(session.world())?;
        let leaf = read_file(&key_pair.certificate_path, &key_pair.origin)?;
        let trust_chain = match &self.trust_chain_path {
            None => None,
            Some(path) => Some(read_file(path, &format!("trust_chain_path of {}", self.location))?),
        };
        x509::subject_token(&leaf, trust_chain.as_ref().map(|chain| chain.as_slice())).map(Secret::new).map_err(
            |what| {
                let files = match &self.trust_chain_path {
                    Some(chain) => {
                        format!("{} and {}", printable::path(&key_pair.certificate_path), printable::path(chain))
                    }
                    None => printable::path(&key_pair.certificate_path),
                };
                Error::malformed(&files, what)
                    .hint("the certificate first, then its issuers; trust_chain_path holds issuers only")
            },
        )
    }

    /// Tokens of Google's agent identities are bound to their certificate (RFC 8705), unless the user forbids it.
    fn bound_certificate_fingerprint(&self, world: &World) -> Result<Option<String>> {
        let is_disabled = |variable| world.env.os(variable).is_some_and(|value| value.eq_ignore_ascii_case("false"));
        let variables = [
            &env::GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN,
            &env::GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES,
        ];
        if variables.into_iter().any(is_disabled) {
            return Ok(None);
        }
        let key_pair = self.read_config(world)?;
        let pem = read_file(&key_pair.certificate_path, &key_pair.origin)?;
        let leaf = x509::parse_leaf(&pem)
            .map_err(|what| Error::malformed(&printable::path(&key_pair.certificate_path), what))?;
        Ok(x509::is_agent_identity(&leaf).then(|| {
            let fingerprint = x509::sha256_fingerprint(&leaf);
            percent_encoding::utf8_percent_encode(&fingerprint, percent_encoding::NON_ALPHANUMERIC).to_string()
        }))
    }

    fn client_certificate(&self, world: &World) -> Result<Option<ClientCertificate>> {
        for _ in 1..MAX_KEY_PAIR_ATTEMPTS {
            let key_pair = self.read_config(world)?;
            match client_certificate::check_key_pair(&key_pair) {
                Ok(()) => return Ok(Some(key_pair)),
                Err(_) => world.clock.sleep(KEY_PAIR_RETRY_PAUSE),
            }
        }
        let key_pair = self.read_config(world)?;
        client_certificate::check_key_pair(&key_pair).map(|()| Some(key_pair))
    }
}

impl CertificateSource {
    /// The paths of certificate and key.
    fn read_config(&self, world: &World) -> Result<ClientCertificate> {
        let path = self.find_config_path(world)?;
        let config_location = format!("{} (certificates for {})", printable::path(&path), self.location);
        let bytes = read_file(&path, &config_location)?;
        let malformed = |what: String| {
            Error::malformed(&config_location, what)
                .hint("gcloud iam workload-identity-pools create-cred-config writes such a file")
        };
        let mut fields = JsonFields::new(json::parse_object(&bytes).map_err(malformed)?);
        let within = |what: String| malformed(format!("cert_configs.{what}"));
        let configs = fields.object("cert_configs").map_err(malformed)?;
        let mut configs = configs.ok_or_else(|| malformed("cert_configs is missing".to_owned()))?;
        let workload = configs.object("workload").map_err(within)?;
        let mut workload = workload.ok_or_else(|| within("workload is missing".to_owned()))?;
        let within = |what: String| malformed(format!("cert_configs.workload.{what}"));
        Ok(ClientCertificate {
            certificate_path: workload.required_path("cert_path").map_err(within)?,
            key_path: workload.required_path("key_path").map_err(within)?,
            origin: config_location.clone(),
        })
    }

    fn find_config_path(&self, world: &World) -> Result<PathBuf> {
        if let Some(path) = &self.config_path {
            return Ok(path.clone());
        }
        for variable in [env::GOOGLE_API_CERTIFICATE_CONFIG, env::CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH] {
            if let Some(path) = world.env.os(&variable) {
                return Ok(PathBuf::from(path));
            }
        }
        let folder = world.folders.gcloud.as_ref().ok_or_else(|| {
            Error::malformed(&self.location, "there is no home folder with a certificate_config.json")
                .hint("set GOOGLE_API_CERTIFICATE_CONFIG to its path")
        })?;
        Ok(gcloud::certificate_config_path(folder))
    }
}

fn read_file(path: &Path, location: &str) -> Result<Zeroizing<Vec<u8>>> {
    let shown = printable::path(path);
    let location = if location.contains(&shown) { location.to_owned() } else { format!("{shown} ({location})") };
    private_file::read_user_file(path, MAX_FILE_BYTES).map_err(|fault| fault.to_error(path, &location))
}
