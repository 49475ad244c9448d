//! The question to an authorization server: one URL (RFC 6749, 4.1.1), with PKCE (RFC 7636), state and nonce that
//! nobody can guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::login::Plan;
use crate::secret::Secret;
use crate::world::random::Random;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What the login is to allow.
    pub scopes: Vec<String>,
    /// Whose login it is to be.
    pub account: Option<String>,
    /// What the server is to ask the person (`prompt`), separated by spaces.
    pub prompt: Option<String>,
    /// The organisation whose accounts are offered (`hd`).
    pub domain: Option<String>,
    /// Whether what was granted before is to be had as well.
    pub include_granted: bool,
    /// Further parameters.
    pub more: Vec<(String, String)>,
}

/// Parameters that are gauth's to choose.
const OURS: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "access_type",
    "prompt",
    "login_hint",
    "hd",
    "include_granted_scopes",
    "request",
    "request_uri",
];

impl Wish {
    /// Adds a parameter, written `NAME=VALUE`.
    ///
    /// # Errors
    /// Usage, for what is none, or is gauth's own to choose.
    pub fn add(&mut self, written: &str) -> Result<()> {
        let wrong = |what: &str| {
            Error::usage(format!("--parameter {} {what}", crate::printable::text(written)))
                .hint("--parameter NAME=VALUE; scopes, prompt, account and domain have flags of their own")
        };
        let (name, value) = written.split_once('=').ok_or_else(|| wrong("is not NAME=VALUE"))?;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || !name.bytes().all(letters) {
            return Err(wrong("has no proper name"));
        }
        if OURS.contains(&name) {
            return Err(wrong("names what is chosen elsewhere"));
        }
        if self.more.iter().any(|(known, _)| known == name) {
            return Err(wrong("is given twice"));
        }
        self.more.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// What only this login knows.
pub struct Challenge {
    /// Comes back with the answer (RFC 6749, 10.12). 128 bits. Whoever sees the URL sees it, so it is no [`Secret`].
    pub state: String,
    /// Proves that who puts the code in is who asked for it (RFC 7636, 4.1).
    pub verifier: Secret,
    /// Stands in the ID token (OpenID Connect Core, 3.1.2.1).
    pub nonce: String,
}

impl Challenge {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(random: &dyn Random) -> Result<Challenge> {
        Ok(Challenge {
            state: unguessable::<16>(random)?,
            // 43 characters, as many as the hash that hides it.
            verifier: Secret::new(unguessable::<32>(random)?),
            nonce: unguessable::<16>(random)?,
        })
    }
}

fn unguessable<const BYTES: usize>(random: &dyn Random) -> Result<String> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    random.fill(&mut *bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(*bytes))
}

/// The challenge of a verifier, S256 (RFC 7636, 4.2).
pub fn s256(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

/// The URL a person visits to answer.
///
/// # Errors
/// When the whole is too long for a browser.
pub fn url(plan: &Plan, redirect_uri: &str, challenge: &Challenge) -> Result<String> {
    let Plan { provider, client, wish, .. } = plan;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", &wish.scopes.join(" "))
        .append_pair("state", &challenge.state)
        .append_pair("code_challenge", &s256(&challenge.verifier))
        .append_pair("code_challenge_method", "S256");
    if wish.scopes.iter().any(|scope| scope == "openid") {
        query.append_pair("nonce", &challenge.nonce);
    }
    if provider.google {
        query.append_pair("access_type", "offline");
    }
    if wish.include_granted {
        query.append_pair("include_granted_scopes", "true");
    }
    let optional = [("prompt", &wish.prompt), ("login_hint", &wish.account), ("hd", &wish.domain)];
    for (name, value) in optional {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.extend_pairs(provider.own.iter().chain(&wish.more));
    let base = provider.authorization.as_str();
    let between = if base.contains('?') { '&' } else { '?' };
    // Browsers write a space as %20 themselves, and some servers read + as a plus.
    let url = format!("{base}{between}{}", query.finish().replace('+', "%20"));
    match url.len() <= LONGEST {
        true => Ok(url),
        false => {
            Err(Error::usage(format!("the URL of this login is {} characters long", url.len()))
                .hint("ask for fewer --scopes"))
        }
    }
}

/// Longer URLs are cut by some browsers and servers.
const LONGEST: usize = 8000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::client::Client;
    use crate::login::provider::{AUTHORIZATION, Auth, Provider};
    use crate::url::Url;
    use crate::world::clock::{Deadline, System};
    use std::time::Duration;

    fn plan(wish: Wish, google: bool) -> Plan {
        let endpoint = |text: &str| Url::parse(text).expect("url");
        let client =
            Client::parse(br#"{"installed":{"client_id":"CID"}}"#, "c.json").expect("client");
        Plan {
            provider: Provider {
                name: "Google".to_owned(),
                issuer: None,
                says_issuer: false,
                authorization: endpoint(AUTHORIZATION),
                token: endpoint("https://oauth2.googleapis.com/token"),
                device: None,
                userinfo: None,
                auth: Auth::Body,
                own: Vec::new(),
                google,
            },
            client,
            wish,
            until: Deadline::after(&System::new(), Duration::from_secs(1)),
            makes: crate::login::Makes::User,
        }
    }

    fn challenge() -> Challenge {
        Challenge {
            state: "STATE".to_owned(),
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            nonce: "NONCE".to_owned(),
        }
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(s256(&challenge().verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/vectors.json")).expect("vectors");
        let text = |name: &str| vectors["pkce"][name].as_str().expect("a text").to_owned();
        let verifier = Secret::new(text("code_verifier"));
        assert_eq!(s256(&verifier), text("code_challenge"));
    }

    #[test]
    fn the_question_holds_what_was_asked_for_and_no_more() {
        let scopes = vec!["openid".to_owned(), "https://www.googleapis.com/auth/x y".to_owned()];
        let plain = Wish { scopes: scopes.clone(), ..Wish::default() };
        let url = |wish: Wish, google| {
            super::url(&plan(wish, google), "http://127.0.0.1:9/", &challenge()).expect("a URL")
        };
        let common = "https://accounts.google.com/o/oauth2/v2/auth?client_id=CID\
            &redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F&response_type=code\
            &scope=openid%20https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fx%20y&state=STATE\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
            &nonce=NONCE";
        assert_eq!(url(plain.clone(), false), common);
        assert_eq!(url(plain, true), format!("{common}&access_type=offline"));
        let mut wish = Wish {
            scopes,
            account: Some("ada+x@example.com".to_owned()),
            prompt: Some("select_account consent".to_owned()),
            domain: Some("example.com".to_owned()),
            include_granted: true,
            more: Vec::new(),
        };
        wish.add("ui_locales=de&at").expect("a parameter");
        let more = "&access_type=offline&include_granted_scopes=true&prompt=select_account%20consent\
            &login_hint=ada%2Bx%40example.com&hd=example.com&ui_locales=de%26at";
        assert_eq!(url(wish, true), format!("{common}{more}"));
    }

    #[test]
    fn parameters_that_are_chosen_elsewhere_are_refused() {
        let mut wish = Wish::default();
        wish.add("acr_values=a=b").expect("a parameter");
        for written in ["state=x", "redirect_uri=x", "scope=x", "x", "=x", "a b=c", "acr_values=c"]
        {
            assert_eq!(wish.add(written).expect_err(written).kind().exit_code(), 2);
        }
        assert_eq!(wish.more, [("acr_values".to_owned(), "a=b".to_owned())]);
    }

    #[test]
    fn no_two_logins_are_alike() {
        let new = || Challenge::new(&crate::world::random::System).expect("randomness");
        let (one, other) = (new(), new());
        assert!(one.state != other.state && !one.verifier.same_as(&other.verifier));
        assert!(one.state.len() >= 22 && one.verifier.len() >= 43);
    }
}
