//! Finds the refresh token in the JSON of a credential, for rotation, revocation, export and recorded rejections. A
//! credential type whose refresh token is not an outermost field has a line in `CONTAINERS`.

use serde_json::{Map, Value};

use crate::accounts::fields;
use crate::text::secret::Secret;

/// The paths of objects in a credential that are the source of its tokens, and may have a refresh token. Such an object
/// may have one of these objects itself.
const CONTAINERS: &[&[&str]] = &[
    // `impersonated_service_account`: the source credential.
    &["source_credentials"],
    // `external_account` of `gauth login --issuer`: the login at the provider.
    &["credential_source", "openid"],
];

/// A refresh token, and the OAuth client that it was issued to.
pub struct LocatedRefreshToken<'a> {
    /// The ID of the client.
    pub client_id: &'a str,
    /// The refresh token that the login has, which may have been rotated since.
    pub refresh_token: Secret,
}

/// The refresh token and the client in the JSON of a login; `None` where one of them is missing.
pub fn find(login: &Map<String, Value>) -> Option<LocatedRefreshToken<'_>> {
    let object = object(login);
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    Some(LocatedRefreshToken {
        client_id: text(fields::CLIENT_ID)?,
        refresh_token: Secret::new(text(fields::REFRESH_TOKEN)?),
    })
}

/// Whether the refresh token is an outermost field of the login.
pub fn is_outermost(login: &Map<String, Value>) -> bool {
    login.contains_key(fields::REFRESH_TOKEN)
}

/// Marks a login as shared with a copy, in the object that has its refresh token.
pub fn mark_shared(login: &mut Map<String, Value>) {
    if find(login).is_some() {
        object_mut(login).insert(fields::SHARED.to_owned(), Value::Bool(true));
    }
}

/// The object in which the refresh token belongs: the login itself, or one of its objects.
pub fn object(login: &Map<String, Value>) -> &Map<String, Value> {
    match CONTAINERS.iter().find_map(|path| descend(login, path)) {
        Some(inner) => object(inner),
        None => login,
    }
}

/// The same object as a mutable reference.
pub(crate) fn object_mut(login: &mut Map<String, Value>) -> &mut Map<String, Value> {
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
    fn other_sources_have_no_refresh_token() {
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
