//! Logins by way of a workforce pool: refreshed, looked at, ended; and none of it at Google accounts' doors.

use gauth_sandbox::admitted::AdmittedCredential;
use gauth_sandbox::fixtures::{CLIENT_ID, USER};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};

use super::sts::introspect;
use super::{
    FORM_HEADER, HttpReply, basic_authorization_header, default_refresh_grant, encode_form, refresh_token_grant,
    send_to_sandbox, start_sandbox, text_field,
};

/// A form with the client that the login was made with.
fn post_form_as_client(sandbox: &RunningSandbox, path: &str, fields: &[(&str, &str)]) -> HttpReply {
    let client = basic_authorization_header(CLIENT_ID, sandbox.fixtures().client_secret.expose());
    send_to_sandbox(sandbox, "POST", path, &format!("{FORM_HEADER}{client}"), &encode_form(fields))
}

fn refresh_workforce(sandbox: &RunningSandbox, token: &str) -> HttpReply {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    post_form_as_client(sandbox, "/v1/oauthtoken", &fields)
}

fn first_refresh_token(sandbox: &RunningSandbox) -> &str {
    sandbox.fixtures().workforce_refresh_token.expose()
}

#[test]
fn a_workforce_login_is_refreshed_only_at_the_sts() {
    let (sandbox, _) = start_sandbox(&[]);
    let issued = refresh_workforce(&sandbox, first_refresh_token(&sandbox)).json();
    assert_eq!((issued["expires_in"].as_i64(), text_field(&issued, "token_type")), (Some(3599), "Bearer"));
    assert!(issued.get("refresh_token").is_none() && issued.get("id_token").is_none(), "{issued}");
    let told = introspect(&sandbox, text_field(&issued, "access_token"));
    assert!(text_field(&told, "username").starts_with("principal://iam.googleapis.com/"), "{told}");
    assert!(text_field(&told, "username").ends_with(&format!("/subject/{USER}")), "{told}");
    let googles = sandbox.fixtures().refresh_token.expose();
    assert_eq!(text_field(&refresh_workforce(&sandbox, googles).json(), "error"), "invalid_grant");
    let crossed = refresh_token_grant(&sandbox, first_refresh_token(&sandbox), &[]);
    assert_eq!(text_field(&crossed.json(), "error"), "invalid_grant");
}

#[test]
fn clients_and_grants_are_checked() {
    let (sandbox, _) = start_sandbox(&[]);
    let secret = sandbox.fixtures().client_secret.expose();
    let good = [("grant_type", "refresh_token"), ("refresh_token", first_refresh_token(&sandbox))];
    // Where /token takes the client as parameters, this wants the header.
    let in_body = [&good[..], &[("client_id", CLIENT_ID), ("client_secret", secret)]].concat();
    for (headers, fields, status, code) in [
        (FORM_HEADER.to_owned(), &in_body[..], 401, "invalid_client"),
        (format!("{FORM_HEADER}{}", basic_authorization_header(CLIENT_ID, "other")), &good, 401, "invalid_client"),
        (format!("{FORM_HEADER}{}", basic_authorization_header("other", secret)), &good, 401, "invalid_client"),
        (format!("{FORM_HEADER}{}", basic_authorization_header(CLIENT_ID, secret)), &good[..1], 400, "invalid_request"),
        (format!("{FORM_HEADER}{}", basic_authorization_header(CLIENT_ID, secret)), &good[1..], 400, "invalid_request"),
        (basic_authorization_header(CLIENT_ID, secret), &good, 400, "invalid_request"),
    ] {
        let reply = send_to_sandbox(&sandbox, "POST", "/v1/oauthtoken", &headers, &encode_form(fields));
        assert_eq!((reply.status, text_field(&reply.json(), "error")), (status, code), "{headers}");
    }
    for (name, value, code) in
        [("grant_type", "password", "unsupported_grant_type"), ("refresh_token", "1//other", "invalid_grant")]
    {
        let fields = good.map(|(known, kept)| (known, if known == name { value } else { kept }));
        let reply = post_form_as_client(&sandbox, "/v1/oauthtoken", &fields);
        assert_eq!((reply.status, text_field(&reply.json(), "error")), (400, code));
    }
    for path in ["/v1/oauthtoken", "/v1/introspect", "/v1/revoke"] {
        assert_eq!(send_to_sandbox(&sandbox, "GET", path, "", "").status, 405);
    }
}

#[test]
fn a_workforce_refresh_token_used_twice_ends_the_login_when_tokens_rotate() {
    let (sandbox, _) = start_sandbox(&["oauthtoken=rotate"]);
    let one = refresh_workforce(&sandbox, first_refresh_token(&sandbox)).json();
    let two = refresh_workforce(&sandbox, text_field(&one, "refresh_token")).json();
    let access = text_field(&two, "access_token");
    assert_eq!(introspect(&sandbox, access)["active"], true);
    let reuse = refresh_workforce(&sandbox, text_field(&one, "refresh_token"));
    assert_eq!((reuse.status, text_field(&reuse.json(), "error")), (400, "invalid_grant"));
    assert_eq!(refresh_workforce(&sandbox, text_field(&two, "refresh_token")).status, 400);
    assert_eq!(introspect(&sandbox, access)["active"], false);
    // The other door's do not rotate.
    assert!(default_refresh_grant(&sandbox, &[]).json().get("refresh_token").is_none());
}

#[test]
fn introspection_knows_every_token_and_asks_no_client() {
    let (sandbox, _) = start_sandbox(&[]);
    let users = default_refresh_grant(&sandbox, &[]).json();
    let told = introspect(&sandbox, text_field(&users, "access_token"));
    assert_eq!((text_field(&told, "username"), text_field(&told, "client_id")), (USER, CLIENT_ID));
    assert_eq!(introspect(&sandbox, "ya29.other")["active"], false);
    let token = [("token", text_field(&users, "access_token"))];
    assert_eq!(post_form_as_client(&sandbox, "/v1/introspect", &token).json()["active"], true);
    let wrong = format!("{FORM_HEADER}{}", basic_authorization_header(CLIENT_ID, "other"));
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/introspect", &wrong, &encode_form(&token));
    assert_eq!((reply.status, text_field(&reply.json(), "error")), (401, "invalid_client"));
    let reply = post_form_as_client(&sandbox, "/v1/introspect", &[]);
    assert_eq!((reply.status, text_field(&reply.json(), "error")), (400, "invalid_request"));
}

#[test]
fn a_revoked_workforce_login_is_invalid() {
    let (sandbox, _) = start_sandbox(&[]);
    let issued = refresh_workforce(&sandbox, first_refresh_token(&sandbox)).json();
    let fields = [("token", first_refresh_token(&sandbox)), ("token_type_hint", "refresh_token")];
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/revoke", FORM_HEADER, &encode_form(&fields));
    assert_eq!((reply.status, text_field(&reply.json(), "error")), (401, "invalid_client"));
    assert_eq!(post_form_as_client(&sandbox, "/v1/revoke", &fields).status, 200);
    assert_eq!(introspect(&sandbox, text_field(&issued, "access_token"))["active"], false);
    let after = refresh_workforce(&sandbox, first_refresh_token(&sandbox)).json();
    assert_eq!(text_field(&after, "error_description"), "Token has been expired or revoked.");
    // RFC 7009, 2.2.
    assert_eq!(post_form_as_client(&sandbox, "/v1/revoke", &[("token", "1//other")]).status, 200);
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let machines = super::get_path(&sandbox, path).json();
    let reply = post_form_as_client(&sandbox, "/v1/revoke", &[("token", text_field(&machines, "access_token"))]);
    assert_eq!((reply.status, text_field(&reply.json(), "error")), (400, "unauthorized_client"));
}

#[test]
fn an_admitted_workforce_login_is_accepted() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/credentials/external_account_authorized_user.json");
    let guest = AdmittedCredential::read(file.as_ref()).unwrap();
    let AdmittedCredential::WorkforceUser { client_id, client_secret, refresh_token } = guest.clone() else {
        panic!("another kind");
    };
    let (ours, _) = start_sandbox(&[]);
    let key = gauth_core::text::secret::Secret::new(ours.fixtures().service_account_pem.expose());
    let options = SandboxOptions { key: Some(key), admitted: vec![guest], ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).unwrap();
    let headers = format!("{FORM_HEADER}{}", basic_authorization_header(&client_id, client_secret.expose()));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/oauthtoken", &headers, &encode_form(&fields));
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(send_to_sandbox(&ours, "POST", "/v1/oauthtoken", &headers, &encode_form(&fields)).status, 401);
}
