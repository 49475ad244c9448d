//! What a credential answers that wraps another one: which answers are the other one's, and which its own.

use std::rc::Rc;
use std::time::Duration;

use crate::credentials::EndpointOverrides;
use crate::credentials::access_boundary::AccessBoundary;
use crate::credentials::downscoped::DownscopedCredential;
use crate::credentials::impersonated::{IamEndpoint, ImpersonatedServiceAccount, ImpersonationConfig};
use crate::credentials::lazy::{LazyCredential, UnparsedCredential};
use crate::error::{Error, Result};
use crate::net::message::{ClientCertificate, HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::text::secret::Secret;
use crate::tokens::cache::{CacheKeyHasher, Lock};
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, SelfSignedTarget, Token, TokenRequest};
use crate::world::World;
use crate::world::clock::Deadline;

/// A credential with an answer of its own to everything.
struct Fake {
    info: CredentialInfo,
}

impl Fake {
    fn new() -> Fake {
        Fake { info: info("info") }
    }
}

fn info(account: &str) -> CredentialInfo {
    CredentialInfo { account: Some(account.to_owned()), ..CredentialInfo::default() }
}

fn token(text: &str) -> Token {
    Token::new(Secret::new(text), "fake", None)
}

#[deny(clippy::missing_trait_methods)]
impl Credential for Fake {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("fake");
    }

    fn access_token(&self, _: &AccessTokenRequest, _: &dyn Session) -> Result<Token> {
        Ok(token("access token"))
    }

    fn id_token(&self, _: &IdTokenRequest, _: &dyn Session) -> Result<Token> {
        Ok(token("ID token"))
    }

    fn self_signed_jwt(&self, _: &SelfSignedRequest, _: &dyn Session) -> Result<Token> {
        Ok(token("self-signed JWT"))
    }

    fn is_cacheable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &TokenRequest, _: &dyn Session) -> Result<()> {
        Err(Error::usage("prepared"))
    }

    fn client_certificate(&self, _: &World) -> Result<Option<ClientCertificate>> {
        let (certificate_path, key_path) = ("certificate".into(), "key".into());
        Ok(Some(ClientCertificate { origin: "fake".to_owned(), certificate_path, key_path }))
    }

    fn load_info(&self) -> Result<CredentialInfo> {
        Ok(info("load_info"))
    }

    fn fetch_info(&self, _: &dyn Session) -> Result<CredentialInfo> {
        Ok(info("fetch_info"))
    }

    fn last_rejection(&self, _: &World) -> Option<String> {
        Some("rejected".to_owned())
    }

    fn revoke(&self, _: &dyn Session) -> Result<Revocation> {
        Ok(Revocation::AlreadyRevoked)
    }
}

impl UnparsedCredential for Fake {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("unparsed");
    }

    fn load(&self) -> Result<Box<dyn Credential>> {
        Ok(Box::new(Fake::new()))
    }
}

/// A session without a network.
struct OfflineSession {
    world: World,
}

impl Session for OfflineSession {
    fn world(&self) -> &World {
        &self.world
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        Err(Error::no_answer(format!("sent to {}", request.url.authority())))
    }

    fn send_with_timeout(&self, request: &HttpRequest, _: Duration) -> Result<HttpResponse> {
        self.send(request)
    }

    fn token(&self, credential: &dyn Credential, _: &TokenRequest) -> Result<Token> {
        credential.access_token(&AccessTokenRequest::default(), self)
    }

    fn source_token(&self, credential: &dyn Credential) -> Result<Token> {
        credential.access_token(&AccessTokenRequest::default(), self)
    }

    fn is_sufficient(&self, _: &Token, _: i64) -> bool {
        true
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(&*self.world.clock, Duration::ZERO)
    }

    fn extend_deadline(&self, _: Duration) {}

    fn can_prompt(&self) -> bool {
        false
    }

    fn mark_prompting(&self) -> Option<Lock> {
        None
    }
}

/// Every method's answer, by the method's name.
fn answers(credential: &dyn Credential) -> Vec<(&'static str, String)> {
    let session = &OfflineSession { world: crate::http::real_world() };
    let account = |info: CredentialInfo| info.account.unwrap_or_default();
    let text = |token: Result<Token>| match token {
        Ok(token) => token.secret.expose().to_owned(),
        Err(error) => error.message().to_owned(),
    };
    let access_request = AccessTokenRequest::default();
    let id_request = IdTokenRequest { audience: Some("a".to_owned()), ..IdTokenRequest::default() };
    let target = SelfSignedTarget::Audience("https://a.example".to_owned());
    let signed_request = SelfSignedRequest { target, lifetime: None };
    let prepared = credential.prepare(&TokenRequest::AccessToken(access_request.clone()), session);
    let certificate = credential.client_certificate(&session.world).expect("a certificate or none");
    vec![
        ("load_info", account(credential.load_info().expect("info"))),
        ("fetch_info", account(credential.fetch_info(session).expect("info"))),
        ("info", account(credential.info().clone())),
        ("is_cacheable", credential.is_cacheable().to_string()),
        ("last_rejection", credential.last_rejection(&session.world).unwrap_or_default()),
        ("revoke", format!("{:?}", credential.revoke(session).expect("an answer"))),
        ("client_certificate", certificate.map(|known| known.origin).unwrap_or_default()),
        ("prepare", prepared.err().map(|error| error.message().to_owned()).unwrap_or_default()),
        ("access_token", text(credential.access_token(&access_request, session))),
        ("id_token", text(credential.id_token(&id_request, session))),
        ("self_signed_jwt", text(credential.self_signed_jwt(&signed_request, session))),
    ]
}

#[test]
fn a_lazy_credential_answers_everything_as_the_parsed_one() {
    let lazy = LazyCredential::new(Fake::new());
    lazy.load().expect("a credential");
    assert_eq!(answers(&lazy), answers(&Fake::new()));
    let defaults = ["true", "", "Unsupported"];
    for (name, answer) in answers(&Fake::new()) {
        assert!(!defaults.contains(&&*answer), "{name}: {answer} is what a kind says by default");
    }
}

/// The answers of a wrapper that are not the wrapped credential's.
fn own_answers(wrapper: &dyn Credential) -> Vec<(&'static str, String)> {
    let wrapped = answers(&Fake::new());
    answers(wrapper).into_iter().filter(|answer| !wrapped.contains(answer)).collect()
}

#[test]
fn a_downscoped_credential_answers_about_its_login_as_its_source_and_gives_no_other_tokens() {
    let boundary = AccessBoundary::from_flags(&["objectViewer@b-1".to_owned()]).expect("boundary");
    let source = Rc::new(Fake::new());
    let wrapper = DownscopedCredential::new(source, boundary, EndpointOverrides::default(), None);
    let expected = [
        ("is_cacheable", "true"),
        ("client_certificate", ""),
        ("prepare", ""),
        ("access_token", "sent to sts.googleapis.com"),
        ("id_token", "an ID token cannot be downscoped: it grants access to no bucket"),
        ("self_signed_jwt", "info is , which cannot sign a token itself"),
    ];
    let expected = expected.map(|(name, answer)| (name, answer.to_owned()));
    assert_eq!(own_answers(&wrapper), expected);
}

#[test]
fn an_impersonated_service_account_answers_about_its_login_as_its_source() {
    let account = "ci@p.iam.gserviceaccount.com";
    let config = ImpersonationConfig {
        account: account.to_owned(),
        iam_endpoint: IamEndpoint::Universe(EndpointOverrides::default(), None),
        delegates: Vec::new(),
        scopes: Vec::new(),
        lifetime: None,
        token_uri: Url::parse(crate::oauth::token::ENDPOINT).expect("a URL"),
    };
    let wrapper = ImpersonatedServiceAccount::new(Rc::new(Fake::new()), config);
    let sent = "sent to iamcredentials.googleapis.com";
    let expected = [
        ("load_info", account),
        ("fetch_info", account),
        ("info", account),
        ("is_cacheable", "true"),
        ("client_certificate", ""),
        ("prepare", ""),
        ("access_token", sent),
        ("id_token", sent),
        ("self_signed_jwt", &format!("{account} is an impersonated service account, which cannot sign a token itself")),
    ];
    let expected = expected.map(|(name, answer)| (name, answer.to_owned()));
    assert_eq!(own_answers(&wrapper), expected);
}
