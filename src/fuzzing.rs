//! The fuzz targets: every parser of input from files, servers and users. `fuzz/run` feeds them, and a test runs them over
//! the corpus in fuzz/corpus. A target panics when a property of its parser does not hold.

use zeroize::Zeroizing;

use crate::commands::inspect::input::parse_token;
use gauth_core::credentials;
use gauth_core::credentials::ParseOptions;
use gauth_core::credentials::access_boundary::AccessBoundary;
use gauth_core::credentials::external_account::executable::response;
use gauth_core::credentials::external_account::format::SubjectTokenFormat;
use gauth_core::credentials::external_account::{provider, x509};
use gauth_core::error::Error;
use gauth_core::gcloud::ini::Ini;
use gauth_core::google::reauth::{ReauthChallenge, ReauthSessionState};
use gauth_core::google::{iam, metadata, reauth};
use gauth_core::http::server::connection;
use gauth_core::http::transport::to_uri;
use gauth_core::jose::jwks::Jwks;
use gauth_core::jose::key::PrivateKey;
use gauth_core::jose::verify::Validation;
use gauth_core::jose::{jwks, jwt, verify};
use gauth_core::login::callback::{CallbackResult, ExpectedCallback};
use gauth_core::login::client::OAuthClient;
use gauth_core::login::{discovery, paste, redirect, workforce};
use gauth_core::net::endpoint_policy::{EndpointKind, EndpointPolicy};
use gauth_core::net::message::HttpResponse;
use gauth_core::net::url::{Scheme, Url};
use gauth_core::oauth::device::PollOutcome;
use gauth_core::oauth::{device, token, token_exchange};
use gauth_core::text::duration;
use gauth_core::text::secret::Secret;
use gauth_core::tokens::cache;

/// The name of a target, and the function that takes the input.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All fuzz targets; `fuzz/run` reads their names from here.
pub const TARGETS: &[FuzzTarget] = &[
    ("boundary", boundary),
    ("cache_entry", cache_entry),
    ("callback", callback),
    ("certificate", certificate),
    ("credential", credential),
    ("device_answer", device_answer),
    ("discovery", discovery),
    ("executable_response", executable_response),
    ("http_request", http_request),
    ("iam_answer", iam_answer),
    ("id_token", id_token),
    ("ini", ini),
    ("jwks", jwks),
    ("jwt", jwt),
    ("login_config", login_config),
    ("metadata_answer", metadata_answer),
    ("oauth_client", oauth_client),
    ("pem", pem),
    ("reauth_answer", reauth_answer),
    ("subject", subject),
    ("time", time),
    ("token_answer", token_answer),
    ("token_input", token_input),
    ("url", url),
];

/// The current time of all targets, in Unix seconds.
const NOW: i64 = 1_767_323_045;

/// A Credential Access Boundary as a file and as `--downscope` flags, one per line. Its JSON parses to the same boundary.
fn boundary(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let flags: Vec<String> = text.lines().map(str::to_owned).collect();
    for result in [AccessBoundary::parse(bytes, "boundary.json"), AccessBoundary::from_flags(&flags)] {
        match result {
            Ok(parsed) => {
                let again = AccessBoundary::parse(parsed.options_json().as_bytes(), "boundary.json");
                assert_eq!(again.ok().as_ref(), Some(&parsed));
                assert!(parsed.options_json().chars().count() <= 2048, "longer than Google accepts");
            }
            Err(error) => assert_printable(&error),
        }
    }
}

/// A cache entry, as it is and after the version line that every entry has.
fn cache_entry(bytes: &[u8]) {
    cache::decode_entry(bytes);
    let versioned = [cache::FORMAT_VERSION.as_bytes(), b"\n", bytes].concat();
    if let Some(entry) = cache::decode_entry(&versioned) {
        assert!(gauth_core::text::bearer_token::is_well_formed_secret(&entry.token.secret), "not valid in a header");
    }
}

/// A request to the redirect URI, and a pasted redirect URL. Only one with the `state` is accepted.
fn callback(bytes: &[u8]) {
    let expected = ExpectedCallback {
        path: "/".to_owned(),
        host: "127.0.0.1:9".to_owned(),
        state: "c0ffee".to_owned(),
        issuer: Some("https://accounts.google.com".to_owned()),
        sends_issuer: false,
    };
    let check_outcome = |outcome: CallbackResult| match outcome {
        CallbackResult::Code(code) => {
            assert!(gauth_core::text::bearer_token::is_well_formed_secret(&code), "not a valid code")
        }
        CallbackResult::Error { code, .. } => assert!(!code.is_empty(), "an error without a name"),
    };
    if let Some((request, _)) = connection::parse_request_head(bytes)
        && let Ok(outcome) = expected.check_request(&request)
    {
        let states = request.query.iter().filter(|(name, _)| name == "state");
        assert_eq!(states.map(|(_, value)| &**value).collect::<Vec<_>>(), ["c0ffee"]);
        assert_eq!((&*request.method, &*request.path), ("GET", "/"));
        check_outcome(outcome);
    }
    match paste::parse_pasted(&String::from_utf8_lossy(bytes), &expected) {
        Ok(outcome) => check_outcome(outcome),
        Err(reason) => assert!(!reason.contains(char::is_control), "{reason:?}"),
    }
}

/// A client secret file and its redirect URIs.
fn oauth_client(bytes: &[u8]) {
    match OAuthClient::parse(bytes, "client.json") {
        Ok(client) => {
            for exact in [false, true] {
                match redirect::RedirectTarget::choose(&client, None, None, exact) {
                    Ok(target) => assert!(target.is_local(), "not a loopback address"),
                    Err(error) => assert_printable(&error),
                }
            }
        }
        Err(error) => assert_printable(&error),
    }
}

/// A certificate file, and after a zero byte the file of its chain.
fn certificate(bytes: &[u8]) {
    let mut files = bytes.splitn(2, |byte| *byte == 0);
    let leaf = files.next().unwrap_or_default();
    match x509::subject_token(leaf, files.next()) {
        Ok(token) => assert!(serde_json::from_str::<Vec<String>>(&token).is_ok(), "{token}"),
        Err(reason) => assert!(!reason.contains(char::is_control), "{reason:?}"),
    }
    if let Ok(leaf) = x509::parse_leaf(leaf) {
        x509::is_agent_identity(&leaf);
        assert_eq!(x509::sha256_fingerprint(&leaf).len(), 43);
    }
}

fn credential(bytes: &[u8]) {
    match credentials::parse(bytes, &ParseOptions::new("key.json")) {
        Ok(credential) => {
            credential.hash_cache_key(&mut cache::CacheKeyHasher::new("fuzzing"));
            drop(credential.load_info());
        }
        Err(error) => assert_printable(&error),
    }
}

/// A device authorization response, whose code is printable and whose URLs are safe to visit, and a polling response.
fn device_answer(bytes: &[u8]) {
    let response = response(bytes);
    match device::read_device_authorization(&response, "host", "the provider") {
        Ok(authorization) => {
            let pages = authorization.verification_uri_complete.iter().chain([&authorization.verification_uri]);
            for url in pages.map(|page| Url::parse(page).expect("a valid URL")) {
                assert!(url.scheme == Scheme::Https || url.is_loopback(), "{url}");
            }
            assert!(!authorization.user_code.contains(char::is_control), "{authorization:?}");
            assert!(authorization.expires_in > 0 && (1..=300).contains(&authorization.interval), "{authorization:?}");
        }
        Err(error) => assert_printable(&error),
    }
    for status in [200, 400, 503] {
        let response = HttpResponse { status, ..response.clone() };
        match device::read_poll_response(&response, "host", "the provider", NOW) {
            Ok(PollOutcome::Granted(_)) => assert_eq!(status, 200),
            Ok(PollOutcome::InvalidGrant(error)) | Err(error) => assert_printable(&error),
            Ok(_) => assert_ne!(status, 200),
        }
    }
}

/// The metadata of an OpenID provider, with the right issuer and only https endpoints.
fn discovery(bytes: &[u8]) {
    let issuer = "https://idp.example";
    let own = Url::parse(issuer).expect("a URL");
    match discovery::parse(&response(bytes), issuer, &own) {
        Ok(description) => {
            assert_eq!(description.issuer, issuer);
            if let Ok(provider) = description.login_provider(true) {
                let more = provider.device_authorization_endpoint.iter().chain(&provider.userinfo_endpoint);
                for url in more.chain([&provider.authorization_endpoint, &provider.token_endpoint]) {
                    assert_eq!(url.scheme, Scheme::Https, "{url}");
                }
            }
        }
        Err(error) => assert_printable(&error),
    }
}

/// A login configuration file, whose authorization endpoint is Google's or a loopback address.
fn login_config(bytes: &[u8]) {
    match workforce::WorkforceLoginConfig::parse(bytes, &ParseOptions::new("login.json")) {
        Ok(config) => {
            let provider = config.login_provider();
            let page = &provider.authorization_endpoint;
            assert!(page.is_loopback() || page.host == "auth.cloud.google", "{page}");
            let name = &provider.extra_parameters[0].1;
            assert!(name.starts_with("locations/"), "{name}");
        }
        Err(error) => assert_printable(&error),
    }
}

/// The output of an executable. A response that must have `expiration_time` is accepted only if it has one.
fn executable_response(bytes: &[u8]) {
    let strict = response::parse_response(bytes, NOW, true);
    match response::parse_response(bytes, NOW, false) {
        Ok(read) => {
            assert!(!read.token.is_empty(), "an empty token");
            assert!(read.expires_at.is_none_or(|end| end > NOW), "expired");
            assert_eq!(strict.is_ok(), read.expires_at.is_some());
        }
        Err(unusable) => {
            assert!(!unusable.message.contains(char::is_control), "{unusable:?}");
            assert!(strict.is_err(), "{unusable:?}");
        }
    }
}

fn http_request(bytes: &[u8]) {
    let Some((mut request, length)) = connection::parse_request_head(bytes) else { return };
    request.body = bytes.iter().copied().take(length).collect();
    request.form();
    request.bearer_token();
}

/// An ID token in the first line, keys after it. A valid token is valid only for its audience and at its time.
fn id_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (token, keys) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(parts) = jwt::decode(token) else { return };
    let text = |name: &str| parts.claims.get(name).and_then(|value| value.as_str());
    let issuers = [text("iss").unwrap_or_default().to_owned()];
    let audiences = [text("aud").unwrap_or_default().to_owned()];
    let validation = Validation { issuers: &issuers, audiences: &audiences, now: NOW, skew: 0 };
    match verify::check_claims(&parts, &validation) {
        Ok(()) => {
            let other_audience = Validation { audiences: &["nobody".to_owned()], ..validation };
            assert!(text("aud") == Some("nobody") || verify::check_claims(&parts, &other_audience).is_err());
            let in_two_days = Validation { now: NOW + 2 * 86_400, ..validation };
            assert!(verify::check_claims(&parts, &in_two_days).is_err(), "valid for more than a day");
        }
        Err(error) => assert!(!error.message().contains(char::is_control), "{error:?}"),
    }
    if let Ok(keys) = Jwks::parse(keys.as_bytes()) {
        match verify::check_signature(&parts, &keys) {
            Ok(()) => {
                let kid = verify::algorithm_and_key_id(&parts).map(|(_, kid)| kid.to_owned());
                assert!(kid.is_ok_and(|kid| !keys.keys_with_id(&kid).is_empty()), "no key has the key ID");
            }
            Err(error) => assert!(!error.message().contains(char::is_control), "{error:?}"),
        }
    }
}

/// A JSON Web Key Set. Each key is found by its ID and has a supported algorithm.
fn jwks(bytes: &[u8]) {
    match Jwks::parse(bytes) {
        Ok(set) => {
            assert!(set.key_ids().count() > 0, "an empty set");
            for key in set.key_ids().flat_map(|name| set.keys_with_id(name)) {
                assert!(matches!(key.algorithm(), "RS256" | "ES256"));
                assert!(!key.verifies(b"", &[]), "an empty signature is valid");
            }
        }
        Err(reason) => assert!(!reason.contains(char::is_control), "{reason:?}"),
    }
    let life = jwks::cache_seconds(Some(&String::from_utf8_lossy(bytes)));
    assert!((60..=86_400).contains(&life), "{life}");
}

fn ini(bytes: &[u8]) {
    let Ok(ini) = Ini::parse(&String::from_utf8_lossy(bytes)) else { return };
    for name in ["account", "project"] {
        drop(ini.get("core", name));
    }
}

fn jwt(bytes: &[u8]) {
    if let Ok(parts) = jwt::decode(&String::from_utf8_lossy(bytes)) {
        assert!(parts.signing_input.contains(&b'.'), "the signing input has two segments");
    }
}

fn metadata_answer(bytes: &[u8]) {
    let response = response(bytes);
    for error in
        [metadata::read_access_token(&response, "host", NOW).err(), metadata::read_value(&response, "host").err()]
    {
        error.iter().for_each(assert_printable);
    }
}

fn pem(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let rsa = PrivateKey::rsa_from_pem(&text);
    let any = PrivateKey::any_from_pem(&text);
    let signs_rs256 = any.as_ref().is_ok_and(|key| key.algorithm() == "RS256");
    assert_eq!(rsa.is_ok(), signs_rs256, "an RSA key is one wherever it is read");
    for reason in [rsa.err(), any.err()].into_iter().flatten() {
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
}

/// A reauthentication response: a valid RAPT or a session with a valid URL. No error contains the password.
fn reauth_answer(bytes: &[u8]) {
    let response = response(bytes);
    let password = Secret::new("hunter2");
    match reauth::read_session(&response, "host") {
        Ok(ReauthSessionState::Authenticated(proof)) => {
            assert!(gauth_core::text::bearer_token::is_well_formed_secret(&proof), "not a valid RAPT");
        }
        Ok(ReauthSessionState::Ended(status)) => {
            assert!(!status.contains(char::is_control), "{status:?}")
        }
        Ok(ReauthSessionState::ChallengeRequired { session_id: session, challenges, .. }) => {
            let server = Url::parse(reauth::DEFAULT_SERVER).expect("a URL");
            for ReauthChallenge { id, challenge_type: kind } in challenges {
                assert!(!kind.description().contains(char::is_control), "{kind:?}");
                let sent = reauth::continue_session_request(&server, &password, &session, &id, &password);
                let Ok(sent) = sent else {
                    assert!(session.len() > 600, "{session:?} has no URL");
                    continue;
                };
                assert_eq!(sent.url.host, server.host);
                assert_eq!(sent.url.path_and_query().matches('/').count(), 3, "{}", sent.url);
                assert!(sent.url.as_str().ends_with(":continue"), "{}", sent.url);
            }
        }
        Err(error) => {
            let error = reauth::without_password_echo(error, &password, "host");
            assert_printable(&error);
            assert!(!error.message().contains("hunter2"), "{error:?}");
        }
    }
}

fn time(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(duration) = duration::parse(&text) {
        duration::humanize(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
    }
    for name in ["date", "retry-after"] {
        let headers = vec![(name.to_owned(), text.clone().into_owned())];
        let response = HttpResponse { headers, ..HttpResponse::default() };
        response.retry_after(NOW);
        response.date().map(duration::rfc3339);
    }
}

fn token_answer(bytes: &[u8]) {
    match token::read_bearer_response(&response(bytes), "host", NOW) {
        Ok(granted) => {
            assert!(
                gauth_core::text::bearer_token::is_well_formed_secret(&granted.access_token),
                "not valid in a header"
            );
            assert!(granted.expires_at.is_none_or(|end| end > NOW), "already expired");
        }
        Err(error) => assert_printable(&error),
    }
}

fn iam_answer(bytes: &[u8]) {
    let response = response(bytes);
    match iam::read_access_token(&response, "host") {
        Ok((token, _)) => {
            assert!(gauth_core::text::bearer_token::is_well_formed_secret(&token), "not valid in a header")
        }
        Err(error) => {
            assert_printable(&error);
            assert_printable(&iam::explain_refusal(error, &response, "ada@example.com", "ci@p.example"));
        }
    }
    for error in [
        iam::read_signed_jwt(&response, "host").err(),
        token_exchange::read_introspected_username(&response, "host").err(),
    ] {
        error.iter().for_each(assert_printable);
    }
}

/// Subject tokens in text and JSON, and names of workload identity providers.
fn subject(bytes: &[u8]) {
    for format in [SubjectTokenFormat::Text, SubjectTokenFormat::Json("value".to_owned())] {
        match format.extract_token(bytes) {
            Ok(token) => assert!(!token.is_empty(), "an empty token"),
            Err(reason) => assert!(!reason.contains(char::is_control), "{reason:?}"),
        }
    }
    let text = String::from_utf8_lossy(bytes);
    match provider::audience_of_provider(&text) {
        Ok(audience) => {
            assert_eq!(provider::audience_of_provider(&audience).as_ref(), Ok(&audience))
        }
        Err((reason, hint)) => {
            assert!(!format!("{reason}{hint}").contains(char::is_control), "{reason:?}")
        }
    }
}

/// The input of `gauth inspect`. The result is one non-empty line.
fn token_input(bytes: &[u8]) {
    match parse_token(&String::from_utf8_lossy(bytes)) {
        Ok(token) => {
            assert!(!token.is_empty() && token.is_one_line(), "not one line");
            jwt::looks_like_jwt(&token);
        }
        Err(reason) => assert!(!reason.contains(char::is_control), "{reason:?}"),
    }
}

/// A URL, which is printed so that it parses to the same URL, and its use as an endpoint.
fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(url) = Url::parse(&text) {
        assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(&url));
        assert!(to_uri(&url).is_some(), "{url} leads elsewhere for the HTTP client");
        assert_eq!(format!("{}{}", url.authority(), url.path_and_query()), without_scheme(&url));
    }
    let policy =
        EndpointPolicy { location: "key.json", allowed_hosts: &[], trusted_universe: None, claimed_universe: None };
    for kind in [EndpointKind::OAuthToken, EndpointKind::Sts, EndpointKind::IamCredentials, EndpointKind::SubjectToken]
    {
        match policy.check_endpoint(kind, "token_uri", &text) {
            Ok(url) => assert!(url.scheme == Scheme::Https || url.allows_plain_http(), "{url}"),
            Err(error) => assert_printable(&error),
        }
    }
}

fn without_scheme(url: &Url) -> &str {
    url.as_str().split_once("://").map_or("", |(_, rest)| rest)
}

/// Reads a response: the status, lines of `name: value`, an empty line, and the body.
fn response(bytes: &[u8]) -> HttpResponse {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.parse().ok()).unwrap_or(200);
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let body = bytes.get(end + 2..).unwrap_or_default().to_vec();
    HttpResponse { status, headers: headers.collect(), body: Zeroizing::new(body) }
}

/// Asserts that an error has no control characters, because it is printed to terminals.
fn assert_printable(error: &Error) {
    assert!(!error.message().contains(char::is_control), "{:?}", error.message());
    assert!(!error.hint_text().unwrap_or_default().contains(char::is_control), "{error:?}");
}
