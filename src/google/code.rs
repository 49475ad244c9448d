//! The authorization code grant (RFC 6749, 4.1.3) with PKCE (RFC 7636, 4.5).

use crate::google::sts::{self, ClientAuth};
use crate::http::{HttpRequest, Patience};
use crate::secret::Secret;
use crate::url::Url;

/// What a code is put in with.
#[derive(Debug)]
pub struct CodeGrant<'a> {
    /// The code, good once.
    pub code: &'a Secret,
    /// The URL the browser came back to, letter by letter as it was asked for.
    pub redirect_uri: &'a str,
    /// What only who asked for the code knows.
    pub verifier: &'a Secret,
    /// The client it was asked for.
    pub client: ClientAuth<'a>,
}

/// Asks for tokens with a code. It is not sent again once anything may have reached the server.
pub fn grant(url: &Url, grant: &CodeGrant<'_>) -> HttpRequest {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", grant.code.expose()),
        ("redirect_uri", grant.redirect_uri),
        ("code_verifier", grant.verifier.expose()),
    ];
    fields.extend(sts::client_fields(grant.client));
    sts::authenticated(HttpRequest::form(url.clone(), &fields), Some(grant.client))
        .patience(Patience::SingleUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_put_in_once_with_all_that_proves_it() {
        let url = Url::parse("https://oauth2.googleapis.com/token").expect("url");
        let (code, verifier, secret) = (Secret::new("4/x"), Secret::new("V"), Secret::new("CS"));
        let asked = |client| {
            let redirect_uri = "http://127.0.0.1:9/";
            let request = super::grant(
                &url,
                &CodeGrant { code: &code, redirect_uri, verifier: &verifier, client },
            );
            assert_eq!(request.patience, Patience::SingleUse);
            let header = request.headers.iter().any(|(name, _)| name == "authorization");
            (String::from_utf8(request.body.expect("body").to_vec()).expect("text"), header)
        };
        let plain = "grant_type=authorization_code&code=4%2Fx&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F\
            &code_verifier=V";
        let body = asked(ClientAuth::Body("CID", &secret));
        assert_eq!(body, (format!("{plain}&client_id=CID&client_secret=CS"), false));
        assert_eq!(asked(ClientAuth::Id("CID")), (format!("{plain}&client_id=CID"), false));
        assert_eq!(asked(ClientAuth::Basic("CID", &secret)), (plain.to_owned(), true));
    }
}
