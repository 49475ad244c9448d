//! Subject tokens that are certificates: the STS sees the same one in the TLS handshake (AIP-4118).

use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::{Pool, SubjectSource};
use crate::credential::{AGAIN, Setting};
use crate::error::{Error, Result};
use crate::gcloud;
use crate::http::Identity;
use crate::json::{self, Fields};
use crate::secret::Secret;
use crate::world::World;
use crate::world::env;
use crate::{certificate, identity, printable, private_file};

/// Largest file of certificates or key, in bytes.
const LARGEST: usize = 64 * 1024;

/// A rotation replaces two files, one after the other: a pair that does not fit is read again this often.
const ATTEMPTS: u32 = 4;
/// And after this long.
const PAUSE: Duration = Duration::from_millis(250);

/// A certificate and its key, by the file that names both.
struct Certificate {
    /// `None`: where Google's libraries look for it.
    config: Option<PathBuf>,
    /// The issuers of the certificate, in PEM.
    chain: Option<PathBuf>,
    place: String,
}

/// Reads the fields of the source.
///
/// # Errors
/// Malformed, naming the field.
pub(super) fn parse(
    mut source: Fields,
    pool: &Pool,
    setting: &Setting,
) -> Result<Box<dyn SubjectSource>> {
    let malformed =
        |what: String| setting.malformed(format!("credential_source.{what}")).hint(AGAIN);
    let fields = source.object("certificate").map_err(malformed)?;
    let mut fields = fields.ok_or_else(|| malformed("certificate is missing".to_owned()))?;
    let malformed = |what: String| malformed(format!("certificate.{what}"));
    let usual = fields.flag("use_default_certificate_config").map_err(malformed)?;
    let config = fields.path("certificate_config_location").map_err(malformed)?;
    let chain = fields.path("trust_chain_path").map_err(malformed)?;
    match (usual == Some(true), config) {
        (true, Some(_)) => Err(malformed(
            "certificate_config_location and use_default_certificate_config exclude each other".to_owned(),
        )),
        (false, None) => Err(malformed(
            "certificate_config_location is missing, and use_default_certificate_config is not true".to_owned(),
        )),
        (_, config) => Ok(Box::new(Certificate {
            config,
            chain,
            place: pool.place.clone(),
        })),
    }
}

impl SubjectSource for Certificate {
    fn name(&self) -> &'static str {
        "x509"
    }

    fn place(&self) -> String {
        "the client certificate".to_owned()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("certificate");
        for path in [&self.config, &self.chain] {
            digest.optional(path.as_ref().map(|path| path.to_string_lossy()).as_deref());
        }
    }

    fn subject_token(&self, _: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        let pair = self.pair(broker.world)?;
        let leaf = read(&pair.certificate, &pair.named_by)?;
        let chain = match &self.chain {
            None => None,
            Some(path) => Some(read(path, &format!("trust_chain_path of {}", self.place))?),
        };
        certificate::subject_token(&leaf, chain.as_ref().map(|chain| chain.as_slice()))
            .map(Secret::new)
            .map_err(|what| {
                let files = match &self.chain {
                    Some(chain) => format!(
                        "{} and {}",
                        printable::path(&pair.certificate),
                        printable::path(chain)
                    ),
                    None => printable::path(&pair.certificate),
                };
                Error::malformed(&files, what).hint(
                    "the certificate first, then its issuers; trust_chain_path holds issuers only",
                )
            })
    }

    /// Identities of Google's agents are bound to their certificate (RFC 8705), unless the user objects.
    fn bound_to(&self, world: &World) -> Result<Option<String>> {
        let objects = |variable| {
            world.env.os(variable).is_some_and(|value| value.eq_ignore_ascii_case("false"))
        };
        let variables = [
            &env::GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN,
            &env::GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES,
        ];
        if variables.into_iter().any(objects) {
            return Ok(None);
        }
        let pair = self.pair(world)?;
        let pem = read(&pair.certificate, &pair.named_by)?;
        let leaf = certificate::leaf(&pem)
            .map_err(|what| Error::malformed(&printable::path(&pair.certificate), what))?;
        Ok(certificate::is_agent(&leaf).then(|| {
            let print = certificate::fingerprint(&leaf);
            percent_encoding::utf8_percent_encode(&print, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        }))
    }

    fn identity(&self, world: &World) -> Result<Option<Identity>> {
        for _ in 1..ATTEMPTS {
            let pair = self.pair(world)?;
            match identity::check(&pair) {
                Ok(()) => return Ok(Some(pair)),
                Err(_) => world.clock.sleep(PAUSE),
            }
        }
        let pair = self.pair(world)?;
        identity::check(&pair).map(|()| Some(pair))
    }
}

impl Certificate {
    /// The files of certificate and key.
    fn pair(&self, world: &World) -> Result<Identity> {
        let path = self.config_file(world)?;
        let place = format!("{} (certificates for {})", printable::path(&path), self.place);
        let bytes = read(&path, &place)?;
        let malformed = |what: String| {
            Error::malformed(&place, what)
                .hint("gcloud iam workload-identity-pools create-cred-config writes such a file")
        };
        let mut fields = Fields::new(json::object(&bytes).map_err(malformed)?);
        let within = |what: String| malformed(format!("cert_configs.{what}"));
        let configs = fields.object("cert_configs").map_err(malformed)?;
        let mut configs = configs.ok_or_else(|| malformed("cert_configs is missing".to_owned()))?;
        let workload = configs.object("workload").map_err(within)?;
        let mut workload = workload.ok_or_else(|| within("workload is missing".to_owned()))?;
        let within = |what: String| malformed(format!("cert_configs.workload.{what}"));
        Ok(Identity {
            certificate: workload.needed_path("cert_path").map_err(within)?,
            key: workload.needed_path("key_path").map_err(within)?,
            named_by: place.clone(),
        })
    }

    fn config_file(&self, world: &World) -> Result<PathBuf> {
        if let Some(path) = &self.config {
            return Ok(path.clone());
        }
        for variable in [
            env::GOOGLE_API_CERTIFICATE_CONFIG,
            env::CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH,
        ] {
            if let Some(path) = world.env.os(&variable) {
                return Ok(PathBuf::from(path));
            }
        }
        let folder = world.folders.gcloud.as_ref().ok_or_else(|| {
            Error::malformed(&self.place, "there is no home folder with a certificate_config.json")
                .hint("set GOOGLE_API_CERTIFICATE_CONFIG to its path")
        })?;
        Ok(gcloud::certificate_config_path(folder))
    }
}

fn read(path: &Path, place: &str) -> Result<Zeroizing<Vec<u8>>> {
    let shown = printable::path(path);
    let place =
        if place.contains(&shown) { place.to_owned() } else { format!("{shown} ({place})") };
    private_file::read_named(path, LARGEST).map_err(|fault| fault.at(path, &place))
}
