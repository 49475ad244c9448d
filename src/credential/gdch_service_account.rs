//! Service identities of Google Distributed Cloud: a signed assertion exchanged at the installation's own endpoint.
//! Its tokens are for one audience each.

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::provider::visible;
use crate::credential::{AGAIN, About, Credential, Setting};
use crate::error::{Error, Result};
use crate::google::token as oauth;
use crate::google::{answer, gdch};
use crate::json::Fields;
use crate::jwt::{self, BACKDATED, Claims, LONGEST_LIFE};
use crate::key::PrivateKey;
use crate::secret::Secret;
use crate::token::{AccessRequest, SelfSignedRequest, SelfSignedTarget, Token};
use crate::trust::Endpoint;
use crate::url::Url;

/// The kind.
pub const KIND: &str = "gdch_service_account";

/// A service identity's key file.
struct ServiceIdentity {
    about: About,
    private_key: Secret,
    private_key_id: String,
    token_uri: Url,
    /// What the endpoint's certificate is measured against.
    ca_cert_path: Option<PathBuf>,
    key: OnceCell<PrivateKey>,
}

/// Reads the fields of a key file.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let version = fields.needed("format_version").map_err(malformed)?;
    if version != "1" {
        let what = "format_version is not \"1\", which is what this gauth reads";
        return Err(setting.malformed(what).hint("a newer gauth may read it"));
    }
    let project = name(&mut fields, "project").map_err(malformed)?;
    let identity = name(&mut fields, "name").map_err(malformed)?;
    let private_key = fields.needed_secret("private_key").map_err(malformed)?;
    if private_key.len() > 64 * 1024 {
        return Err(malformed("private_key is longer than 64 KiB".to_owned()));
    }
    let private_key_id = fields.needed("private_key_id").map_err(malformed)?;
    visible(&private_key_id).map_err(|what| malformed(format!("private_key_id {what}")))?;
    let ca_cert_path = fields.path("ca_cert_path").map_err(malformed)?;
    let token_uri = fields.needed("token_uri").map_err(malformed)?;
    let kind = match ca_cert_path {
        Some(_) => Endpoint::Certified,
        None => Endpoint::OAuth,
    };
    let token_uri = setting.trusted(kind, "token_uri", &token_uri, None)?;
    let about = About {
        kind: KIND.to_owned(),
        place: setting.place.clone(),
        account: Some(format!("system:serviceaccount:{project}:{identity}")),
        project: Some(project),
        ..About::default()
    };
    let key = OnceCell::new();
    Ok(Box::new(ServiceIdentity {
        about,
        private_key,
        private_key_id,
        token_uri,
        ca_cert_path,
        key,
    }))
}

/// A name that becomes a part of another one.
fn name(fields: &mut Fields, field: &str) -> std::result::Result<String, String> {
    let name = fields.needed(field)?;
    visible(&name).map_err(|what| format!("{field} {what}"))?;
    match name.contains(':') {
        true => Err(format!("{field} has a colon")),
        false => Ok(name),
    }
}

impl Credential for ServiceIdentity {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field(KIND);
        digest.optional(self.about.account.as_deref());
        digest.field(&self.private_key_id);
        digest.secret(&self.private_key);
        digest.field(self.token_uri.as_str());
    }

    fn access_token(&self, _: &AccessRequest, _: &Broker<'_>) -> Result<Token> {
        Err(self
            .about
            .cannot("give a token that is for no audience")
            .hint("name what the token is for: --audience https://SERVICE"))
    }

    /// The audience of such a token is as much its purpose as that of a JWT signed here; here it is exchanged.
    fn self_signed(&self, request: &SelfSignedRequest, broker: &Broker<'_>) -> Result<Token> {
        let SelfSignedTarget::Audience(audience) = &request.target else {
            let error = self.about.cannot("sign a token with scopes itself");
            return Err(error.hint("name what the token is for: --audience https://SERVICE"));
        };
        if request.lifetime.is_some() {
            let error = self.about.cannot("choose how long its tokens live (--lifetime)");
            return Err(error.hint("leave --lifetime away"));
        }
        let now = broker.now();
        let assertion = self.assertion(now)?;
        let mut asked = gdch::exchange(&self.token_uri, audience, &assertion);
        asked.ca_file.clone_from(&self.ca_cert_path);
        let response = broker.send(&asked)?;
        let host = self.token_uri.authority();
        let granted = oauth::read_any(&response, host, now).map_err(|error| {
            oauth::explain_assertion(error, &response, broker.now(), &self.about.place)
                .hint_if_none(|| format!("check the identity and the key in {}", self.about.place))
        })?;
        // One of Google's libraries says STS-Bearer where the others say Bearer.
        if !granted.token_type.to_ascii_lowercase().ends_with("bearer") {
            let what = format!("holds a token of type {}, not Bearer", granted.token_type);
            return Err(answer::unusable(&response, host, &what));
        }
        let token = Token::new(granted.access_token, KIND, granted.expires_at);
        Ok(self.about.stamp(token))
    }
}

impl ServiceIdentity {
    fn assertion(&self, now: i64) -> Result<Secret> {
        let iat = now - BACKDATED;
        let identity = self.about.name();
        let claims = Claims {
            iss: identity,
            sub: Some(identity),
            aud: Some(self.token_uri.as_str()),
            iat,
            exp: iat + LONGEST_LIFE,
            ..Claims::default()
        };
        jwt::sign(self.key()?, Some(&self.private_key_id), &claims)
            .map_err(|what| Error::unexpected(format!("{}: private_key {what}", self.about.place)))
    }

    fn key(&self) -> Result<&PrivateKey> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = PrivateKey::any_from_secret(&self.private_key).map_err(|what| {
            Error::malformed(&self.about.place, format!("private_key {what}")).hint(AGAIN)
        })?;
        Ok(self.key.get_or_init(|| key))
    }
}
