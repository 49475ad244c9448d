//! Logins by way of a workforce pool: refreshed, looked at, ended; and none of it at Google accounts' doors.

use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::{CLIENT_ID, USER};
use gauth::server::sandbox::guest::Guest;
use gauth::server::sandbox::{Options, Sandbox};

use super::sts::introspected;
use super::{FORM, Reply, ask, basic, encoded, refresh, refresh_with, sandbox, text};

/// A form with the client that the login was made with.
fn by_client(sandbox: &Running, path: &str, fields: &[(&str, &str)]) -> Reply {
    let client = basic(CLIENT_ID, sandbox.cast().client_secret.expose());
    ask(sandbox, "POST", path, &format!("{FORM}{client}"), &encoded(fields))
}

fn refreshed(sandbox: &Running, token: &str) -> Reply {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    by_client(sandbox, "/v1/oauthtoken", &fields)
}

fn first(sandbox: &Running) -> &str {
    sandbox.cast().workforce_refresh_token.expose()
}

#[test]
fn a_workforce_login_is_refreshed_at_its_own_door_only() {
    let (sandbox, _) = sandbox(&[]);
    let issued = refreshed(&sandbox, first(&sandbox)).json();
    assert_eq!(
        (issued["expires_in"].as_i64(), text(&issued, "token_type")),
        (Some(3599), "Bearer")
    );
    assert!(issued.get("refresh_token").is_none() && issued.get("id_token").is_none(), "{issued}");
    let told = introspected(&sandbox, text(&issued, "access_token"));
    assert!(text(&told, "username").starts_with("principal://iam.googleapis.com/"), "{told}");
    assert!(text(&told, "username").ends_with(&format!("/subject/{USER}")), "{told}");
    let googles = sandbox.cast().refresh_token.expose();
    assert_eq!(text(&refreshed(&sandbox, googles).json(), "error"), "invalid_grant");
    let crossed = refresh_with(&sandbox, first(&sandbox), &[]);
    assert_eq!(text(&crossed.json(), "error"), "invalid_grant");
}

#[test]
fn clients_and_grants_are_checked() {
    let (sandbox, _) = sandbox(&[]);
    let secret = sandbox.cast().client_secret.expose();
    let good = [("grant_type", "refresh_token"), ("refresh_token", first(&sandbox))];
    // Where /token takes the client as parameters, this wants the header.
    let in_body = [&good[..], &[("client_id", CLIENT_ID), ("client_secret", secret)]].concat();
    for (headers, fields, status, code) in [
        (FORM.to_owned(), &in_body[..], 401, "invalid_client"),
        (format!("{FORM}{}", basic(CLIENT_ID, "other")), &good, 401, "invalid_client"),
        (format!("{FORM}{}", basic("other", secret)), &good, 401, "invalid_client"),
        (format!("{FORM}{}", basic(CLIENT_ID, secret)), &good[..1], 400, "invalid_request"),
        (format!("{FORM}{}", basic(CLIENT_ID, secret)), &good[1..], 400, "invalid_request"),
        (basic(CLIENT_ID, secret), &good, 400, "invalid_request"),
    ] {
        let reply = ask(&sandbox, "POST", "/v1/oauthtoken", &headers, &encoded(fields));
        assert_eq!((reply.status, text(&reply.json(), "error")), (status, code), "{headers}");
    }
    for (name, value, code) in [
        ("grant_type", "password", "unsupported_grant_type"),
        ("refresh_token", "1//other", "invalid_grant"),
    ] {
        let fields = good.map(|(known, kept)| (known, if known == name { value } else { kept }));
        let reply = by_client(&sandbox, "/v1/oauthtoken", &fields);
        assert_eq!((reply.status, text(&reply.json(), "error")), (400, code));
    }
    for path in ["/v1/oauthtoken", "/v1/introspect", "/v1/revoke"] {
        assert_eq!(ask(&sandbox, "GET", path, "", "").status, 405);
    }
}

#[test]
fn a_workforce_refresh_token_used_twice_ends_the_login_when_tokens_rotate() {
    let (sandbox, _) = sandbox(&["oauthtoken=rotate"]);
    let one = refreshed(&sandbox, first(&sandbox)).json();
    let two = refreshed(&sandbox, text(&one, "refresh_token")).json();
    let access = text(&two, "access_token");
    assert_eq!(introspected(&sandbox, access)["active"], true);
    let reuse = refreshed(&sandbox, text(&one, "refresh_token"));
    assert_eq!((reuse.status, text(&reuse.json(), "error")), (400, "invalid_grant"));
    assert_eq!(refreshed(&sandbox, text(&two, "refresh_token")).status, 400);
    assert_eq!(introspected(&sandbox, access)["active"], false);
    // The other door's do not rotate.
    assert!(refresh(&sandbox, &[]).json().get("refresh_token").is_none());
}

#[test]
fn introspection_knows_every_token_and_asks_no_client() {
    let (sandbox, _) = sandbox(&[]);
    let users = refresh(&sandbox, &[]).json();
    let told = introspected(&sandbox, text(&users, "access_token"));
    assert_eq!((text(&told, "username"), text(&told, "client_id")), (USER, CLIENT_ID));
    assert_eq!(introspected(&sandbox, "ya29.other")["active"], false);
    let token = [("token", text(&users, "access_token"))];
    assert_eq!(by_client(&sandbox, "/v1/introspect", &token).json()["active"], true);
    let wrong = format!("{FORM}{}", basic(CLIENT_ID, "other"));
    let reply = ask(&sandbox, "POST", "/v1/introspect", &wrong, &encoded(&token));
    assert_eq!((reply.status, text(&reply.json(), "error")), (401, "invalid_client"));
    let reply = by_client(&sandbox, "/v1/introspect", &[]);
    assert_eq!((reply.status, text(&reply.json(), "error")), (400, "invalid_request"));
}

#[test]
fn a_revoked_workforce_login_is_over() {
    let (sandbox, _) = sandbox(&[]);
    let issued = refreshed(&sandbox, first(&sandbox)).json();
    let fields = [("token", first(&sandbox)), ("token_type_hint", "refresh_token")];
    let reply = ask(&sandbox, "POST", "/v1/revoke", FORM, &encoded(&fields));
    assert_eq!((reply.status, text(&reply.json(), "error")), (401, "invalid_client"));
    assert_eq!(by_client(&sandbox, "/v1/revoke", &fields).status, 200);
    assert_eq!(introspected(&sandbox, text(&issued, "access_token"))["active"], false);
    let after = refreshed(&sandbox, first(&sandbox)).json();
    assert_eq!(text(&after, "error_description"), "Token has been expired or revoked.");
    // RFC 7009, 2.2.
    assert_eq!(by_client(&sandbox, "/v1/revoke", &[("token", "1//other")]).status, 200);
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let machines = super::get(&sandbox, path).json();
    let reply = by_client(&sandbox, "/v1/revoke", &[("token", text(&machines, "access_token"))]);
    assert_eq!((reply.status, text(&reply.json(), "error")), (400, "unauthorized_client"));
}

#[test]
fn a_guests_workforce_login_is_let_in() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/credentials/external_account_authorized_user.json"
    );
    let guest = Guest::read(file.as_ref()).unwrap();
    let Guest::WorkforceUser { client_id, client_secret, refresh_token } = guest.clone() else {
        panic!("another kind");
    };
    let (ours, _) = sandbox(&[]);
    let key = gauth::secret::Secret::new(ours.cast().service_account_pem.expose());
    let options = Options { key: Some(key), guests: vec![guest], ..Options::default() };
    let sandbox = Sandbox::start(options).unwrap();
    let headers = format!("{FORM}{}", basic(&client_id, client_secret.expose()));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    let reply = ask(&sandbox, "POST", "/v1/oauthtoken", &headers, &encoded(&fields));
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(ask(&ours, "POST", "/v1/oauthtoken", &headers, &encoded(&fields)).status, 401);
}
