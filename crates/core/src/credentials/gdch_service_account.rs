//! Service accounts of Google Distributed Cloud (GDC): a signed assertion exchanged at the installation's own endpoint.
//! Each token is for one audience.

use std::cell::OnceCell;
use std::path::PathBuf;

use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions};
use crate::error::{Error, Result};
use crate::google::gdch;
use crate::jose::jwt;
use crate::jose::jwt::{Claims, IAT_BACKDATE_SECONDS, MAX_ASSERTION_LIFETIME_SECONDS};
use crate::jose::key::PrivateKey;
use crate::net::endpoint_policy::EndpointKind;
use crate::net::url::Url;
use crate::oauth::{response, token as oauth};
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::visible_ascii::check_visible_ascii;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Session};
use crate::tokens::{AccessTokenRequest, SelfSignedRequest, SelfSignedTarget, Token};

/// The `type` of such a credential file.
pub(super) const CREDENTIAL_TYPE: &str = "gdch_service_account";

/// The key file of a service account of GDC.
struct GdchServiceAccount {
    info: CredentialInfo,
    private_key: Secret,
    private_key_id: String,
    token_uri: Url,
    /// The root certificates for the endpoint; `None`: the usual ones.
    ca_cert_path: Option<PathBuf>,
    key: OnceCell<PrivateKey>,
}

/// Reads the fields of a key file.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub(super) fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let version = fields.required("format_version").map_err(malformed)?;
    if version != "1" {
        let what = "format_version is not \"1\", the only one this gauth supports";
        return Err(parse_options.malformed(what).hint("a newer gauth may support it"));
    }
    let project = read_name(&mut fields, "project").map_err(malformed)?;
    let name = read_name(&mut fields, "name").map_err(malformed)?;
    let private_key = fields.required_secret("private_key").map_err(malformed)?;
    if private_key.len() > 64 * 1024 {
        return Err(malformed("private_key is longer than 64 KiB".to_owned()));
    }
    let private_key_id = fields.required("private_key_id").map_err(malformed)?;
    check_visible_ascii(&private_key_id).map_err(|what| malformed(format!("private_key_id {what}")))?;
    let ca_cert_path = fields.path("ca_cert_path").map_err(malformed)?;
    let token_uri = fields.required("token_uri").map_err(malformed)?;
    let endpoint_kind = match ca_cert_path {
        Some(_) => EndpointKind::CustomCa,
        None => EndpointKind::OAuthToken,
    };
    let token_uri = parse_options.checked_endpoint(endpoint_kind, "token_uri", &token_uri, None)?;
    let info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: parse_options.location.clone(),
        account: Some(format!("system:serviceaccount:{project}:{name}")),
        project: Some(project),
        ..CredentialInfo::default()
    };
    let key = OnceCell::new();
    Ok(Box::new(GdchServiceAccount { info, private_key, private_key_id, token_uri, ca_cert_path, key }))
}

/// A name that becomes a part of the account `system:serviceaccount:PROJECT:NAME`.
fn read_name(fields: &mut JsonFields, field: &str) -> std::result::Result<String, String> {
    let name = fields.required(field)?;
    check_visible_ascii(&name).map_err(|what| format!("{field} {what}"))?;
    match name.contains(':') {
        true => Err(format!("{field} has a colon")),
        false => Ok(name),
    }
}

impl Credential for GdchServiceAccount {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(CREDENTIAL_TYPE);
        hasher.add_optional(self.info.account.as_deref());
        hasher.add_text(&self.private_key_id);
        hasher.add_secret(&self.private_key);
        hasher.add_text(self.token_uri.as_str());
    }

    fn access_token(&self, _: &AccessTokenRequest, _: &dyn Session) -> Result<Token> {
        Err(self.info.unsupported_error("give a token without an audience").hint("--audience https://SERVICE"))
    }

    /// `--audience` asks for such a token, as it asks for a self-signed JWT of other service accounts; here the JWT is
    /// exchanged at the endpoint.
    fn self_signed_jwt(&self, request: &SelfSignedRequest, session: &dyn Session) -> Result<Token> {
        let SelfSignedTarget::Audience(audience) = &request.target else {
            let error = self.info.unsupported_error("sign a token with scopes itself");
            return Err(error.hint("--audience https://SERVICE"));
        };
        if request.lifetime.is_some() {
            let error = self.info.unsupported_error("choose how long its tokens live (--lifetime)");
            return Err(error.hint("remove --lifetime"));
        }
        let now = session.now();
        let assertion = self.assertion(now)?;
        let mut http_request = gdch::token_exchange_request(&self.token_uri, audience, &assertion);
        http_request.ca_file.clone_from(&self.ca_cert_path);
        let response = session.send(&http_request)?;
        let host = self.token_uri.authority();
        let granted = oauth::read_token_response(&response, host, now).map_err(|error| {
            oauth::add_assertion_hint(error, &response, session.now(), &self.info.location)
                .hint_if_none(|| format!("check the identity and the key in {}", self.info.location))
        })?;
        // One of Google's libraries accepts STS-Bearer, the others Bearer.
        if !granted.token_type.to_ascii_lowercase().ends_with("bearer") {
            let what = format!("holds a token of type {}, not Bearer", granted.token_type);
            return Err(response::invalid_response(&response, host, &what));
        }
        let token = Token::new(granted.access_token, CREDENTIAL_TYPE, granted.expires_at);
        Ok(self.info.annotate(token))
    }
}

impl GdchServiceAccount {
    fn assertion(&self, now: i64) -> Result<Secret> {
        let iat = now - IAT_BACKDATE_SECONDS;
        let account = self.info.display_name();
        let claims = Claims {
            iss: account,
            sub: Some(account),
            aud: Some(self.token_uri.as_str()),
            iat,
            exp: iat + MAX_ASSERTION_LIFETIME_SECONDS,
            ..Claims::default()
        };
        jwt::sign(self.parsed_key()?, Some(&self.private_key_id), &claims)
            .map_err(|what| Error::unexpected(format!("{}: private_key {what}", self.info.location)))
    }

    fn parsed_key(&self) -> Result<&PrivateKey> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = PrivateKey::any_from_secret(&self.private_key).map_err(|what| {
            Error::malformed(&self.info.location, format!("private_key {what}")).hint(BROKEN_CREDENTIAL_HINT)
        })?;
        Ok(self.key.get_or_init(|| key))
    }
}
