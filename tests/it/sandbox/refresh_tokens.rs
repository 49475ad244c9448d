//! Refresh tokens: their scopes, rotation and revocation.

use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;

use super::{
    default_refresh_grant, get_path, post_form, refresh_token_grant, send_to_sandbox, start_sandbox, text_field,
};

#[test]
fn a_refresh_may_narrow_but_not_widen() {
    let (sandbox, _) = start_sandbox(&[]);
    let whole = default_refresh_grant(&sandbox, &[]).json();
    assert!(text_field(&whole, "scope").contains(CLOUD_PLATFORM_SCOPE) && whole["id_token"].is_string());
    assert!(whole.get("refresh_token").is_none());
    let narrow = default_refresh_grant(&sandbox, &[("scope", CLOUD_PLATFORM_SCOPE)]).json();
    assert_eq!((text_field(&narrow, "scope"), narrow.get("id_token")), (CLOUD_PLATFORM_SCOPE, None));
    let both = default_refresh_grant(&sandbox, &[("scope", "openid email")]);
    assert_eq!(both.status, 200);
    let wide = default_refresh_grant(&sandbox, &[("scope", "https://www.googleapis.com/auth/drive")]);
    assert_eq!((wide.status, text_field(&wide.json(), "error")), (400, "invalid_scope"));
}

#[test]
fn a_refresh_token_used_twice_ends_the_login_when_tokens_rotate() {
    let (sandbox, _) = start_sandbox(&["token=rotate"]);
    let first = default_refresh_grant(&sandbox, &[]).json();
    let next = text_field(&first, "refresh_token");
    assert!(next.starts_with("1//"), "{first}");
    let second = refresh_token_grant(&sandbox, next, &[]).json();
    let newest = text_field(&second, "refresh_token");
    let bearer = format!("Authorization: Bearer {}\r\n", text_field(&second, "access_token"));
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &bearer, "").status, 200);
    let reuse = refresh_token_grant(&sandbox, next, &[]);
    assert_eq!((reuse.status, text_field(&reuse.json(), "error")), (400, "invalid_grant"));
    assert_eq!(refresh_token_grant(&sandbox, newest, &[]).status, 400);
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &bearer, "").status, 401);
}

#[test]
fn a_revoked_login_is_invalid() {
    let (sandbox, _) = start_sandbox(&[]);
    let access = default_refresh_grant(&sandbox, &[]).json();
    assert_eq!(post_form(&sandbox, "/revoke", &[("token", sandbox.fixtures().refresh_token.expose())]).status, 200);
    let after = default_refresh_grant(&sandbox, &[]).json();
    assert_eq!(text_field(&after, "error_description"), "Token has been expired or revoked.");
    let told = get_path(&sandbox, &format!("/tokeninfo?access_token={}", text_field(&access, "access_token")));
    assert_eq!(told.status, 400);
    assert_eq!(post_form(&sandbox, "/revoke", &[("token", "1//other")]).status, 400);
}
