//! Where in a credential's JSON its refresh token is: the one place that knows. Rotation, revocation, export, and the
//! marks of logins that were refused ask here. A credential whose token is at the top needs no line; a kind that has
//! it further in adds one to `CONTAINERS`.

use serde_json::{Map, Value};

use crate::accounts::fields;
use crate::text::secret::Secret;

/// The objects within a credential that hold the credential or login it comes to its tokens by, each as the path of
/// its fields. Such an object may have one of them itself.
const CONTAINERS: &[&[&str]] = &[
    // `impersonated_service_account`: the credential that acts as the service account.
    &["source_credentials"],
    // `external_account` as `gauth login --issuer` stores it: the login at the provider.
    &["credential_source", "openid"],
];

/// The refresh token of a login, and the OAuth client it was given to.
pub struct LocatedRefreshToken<'a> {
    /// The client.
    pub client_id: &'a str,
    /// The refresh token.
    pub refresh_token: Secret,
}

/// The refresh token that a login's JSON has, with its client; `None` where one of them is missing.
pub fn find(login: &Map<String, Value>) -> Option<LocatedRefreshToken<'_>> {
    let object = object(login);
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    Some(LocatedRefreshToken {
        client_id: text(fields::CLIENT_ID)?,
        refresh_token: Secret::new(text(fields::REFRESH_TOKEN)?),
    })
}

/// Whether the refresh token is one of the login's own outermost fields.
pub fn is_outermost(login: &Map<String, Value>) -> bool {
    login.contains_key(fields::REFRESH_TOKEN)
}

/// The object that has the refresh token, or would have it: the login itself, or one within.
pub fn object(login: &Map<String, Value>) -> &Map<String, Value> {
    match CONTAINERS.iter().find_map(|path| descend(login, path)) {
        Some(inner) => object(inner),
        None => login,
    }
}

/// The same, to change it.
pub fn object_mut(login: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let mut object = login;
    while let Some(path) = CONTAINERS.iter().find(|path| descend(object, path).is_some()) {
        for name in *path {
            object = object[*name].as_object_mut().expect("the path has just been walked");
        }
    }
    object
}

fn descend<'a>(login: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Map<String, Value>> {
    path.iter().try_fold(login, |object, name| object.get(*name)?.as_object())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_refresh_token_is_found_in_every_kind_of_credential() {
        let user = json!({"type": "authorized_user", "client_id": "c", "refresh_token": "r"});
        let openid = json!({"credential_source": {"openid": user}});
        for login in [
            &user,
            &openid,
            &json!({"source_credentials": user}),
            &json!({"source_credentials": openid, "delegates": []}),
        ] {
            let Value::Object(mut login) = login.clone() else { panic!("an object") };
            let found = find(&login).expect("a refresh token");
            assert_eq!(found.client_id, "c");
            assert!(found.refresh_token.constant_time_eq(&Secret::new("r")));
            object_mut(&mut login).insert(fields::REFRESH_TOKEN.to_owned(), json!("next"));
            let next = find(&login).expect("a refresh token").refresh_token;
            assert!(next.constant_time_eq(&Secret::new("next")));
            assert!(!is_outermost(&login) || !login.contains_key("source_credentials"));
        }
    }

    #[test]
    fn other_sources_have_none() {
        for login in [
            json!({"credential_source": {"file": "/run/token"}}),
            json!({"credential_source": "openid", "refresh_token": "r"}),
            json!({"source_credentials": {"client_email": "a@b"}}),
        ] {
            let Value::Object(login) = login else { panic!("an object") };
            assert!(find(&login).is_none());
        }
    }
}
