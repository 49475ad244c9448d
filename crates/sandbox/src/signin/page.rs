//! The web pages: plain HTML without scripts or external resources, in dark and light colours, for small screens and
//! screen readers.

use crate::fixtures::{USERS, UserAccount};
use crate::pending_authorizations::{ConsentRequest, ResponseTarget};
use crate::token_store::{Issuer, canonical_scope};
use gauth_core::http::server::html::{content_security_policy, escape_html};
use gauth_core::http::server::http::ServerResponse;
use gauth_core::net::url::Url;

const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{font:1.05rem/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1.2rem}\
    h1{font-size:1.5rem;line-height:1.25}\
    fieldset{border:1px solid color-mix(in srgb,currentColor 30%,transparent);border-radius:.5rem;\
    margin:1.2rem 0;padding:.6rem 1rem}\
    legend{padding:0 .4rem}\
    label{display:block;padding:.35rem 0;overflow-wrap:anywhere}\
    fieldset label{padding-left:1.7rem;text-indent:-1.7rem}\
    input{margin:0 .5rem 0 0}\
    input[type=text]{font:inherit;padding:.5rem;width:11ch;text-transform:uppercase}\
    button{font:inherit;padding:.6rem 1.4rem;margin:.3rem .6rem .3rem 0;border:1px solid;\
    border-radius:.5rem;background:Canvas;color:CanvasText;cursor:pointer}\
    button.first{background:#1a56c4;border-color:#1a56c4;color:#fff}\
    :focus-visible{outline:3px solid #e8890c;outline-offset:2px}\
    code{overflow-wrap:anywhere}\
    footer{margin-top:2.5rem;font-size:.85rem;opacity:.8}";

/// A page with a message only.
pub(crate) fn message_page(status: u16, title: &str, text: &str) -> ServerResponse {
    let inner = format!("<h1>{}</h1><p>{}</p>", escape_html(title), escape_html(text));
    html_page(status, title, &inner, "'none'")
}

/// The page for entering a user code, with an alert if the last code was wrong.
pub(crate) fn user_code_page(path: &str, is_wrong_code: bool) -> ServerResponse {
    let alert = match is_wrong_code {
        true => "<p role=\"alert\" id=\"wrong\">No device is waiting with this code. Check the code and try again.</p>",
        false => "",
    };
    let aria_attributes = if is_wrong_code { " aria-invalid=\"true\" aria-describedby=\"wrong\"" } else { "" };
    let inner = format!(
        "<h1>Connect a device</h1>{alert}<form method=\"get\" action=\"{path}\">\
         <p><label for=\"user_code\">The code that your device shows</label>\
         <input type=\"text\" id=\"user_code\" name=\"user_code\" required autofocus \
         autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" \
         maxlength=\"20\"{aria_attributes}></p>\
         <button class=\"first\" id=\"next\">Next</button></form>"
    );
    html_page(if is_wrong_code { 400 } else { 200 }, "Connect a device", &inner, "'self'")
}

/// The consent page: the account, the scopes, and the buttons.
pub(crate) fn consent_page(consent_request: &ConsentRequest, token: &str) -> ServerResponse {
    let issuer_name = match consent_request.issuer {
        Issuer::Google => "the sandbox's Google",
        Issuer::Workforce => "the sandbox's workforce pool",
        Issuer::External => "the sandbox's external provider",
    };
    let account_choice = match consent_request.user {
        Some(person) => {
            format!("<p>Account: <strong>{}</strong></p>", escape_html(&display_name(person)))
        }
        None => account_fieldset(),
    };
    let scopes: String = consent_request.scopes.iter().enumerate().map(|(at, scope)| scope_row(at, scope)).collect();
    let inner = format!(
        "<h1>Sign in with {issuer_name}?</h1>\
         <p>The application <code>{client}</code> requests access to your account.</p>\
         <form method=\"post\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">{account_choice}\
         <fieldset><legend>It will be able to</legend>{scopes}</fieldset>\
         <button class=\"first\" id=\"allow\" name=\"decision\" value=\"allow\">Allow</button>\
         <button id=\"deny\" name=\"decision\" value=\"deny\">Deny</button></form>",
        client = escape_html(&consent_request.client_id),
        token = escape_html(token),
    );
    let form_targets = match &consent_request.response_target {
        // Browsers apply form-action to redirects after the form is sent, too.
        ResponseTarget::Redirect { redirect_uri: uri, .. } => format!("'self' {}", csp_origin(uri)),
        ResponseTarget::Device(_) => "'self'".to_owned(),
    };
    html_page(200, "Sign in", &inner, &form_targets)
}

fn account_fieldset() -> String {
    let rows: String = USERS
        .iter()
        .enumerate()
        .map(|(at, user)| {
            let checked = if at == 0 { " checked" } else { "" };
            format!(
                "<label><input type=\"radio\" name=\"account\" value=\"{}\"{checked}>{}</label>",
                escape_html(user.email),
                escape_html(&display_name(user))
            )
        })
        .collect();
    format!("<fieldset><legend>Account</legend>{rows}</fieldset>")
}

fn display_name(user: &UserAccount) -> String {
    format!("{} {} ({})", user.given_name, user.family_name, user.email)
}

fn scope_row(index: usize, scope: &str) -> String {
    let description = describe_scope(scope);
    let detail = if description == scope { String::new() } else { format!(" <code>{}</code>", escape_html(scope)) };
    format!(
        "<label><input type=\"checkbox\" name=\"scope\" id=\"scope{index}\" value=\"{}\" \
         checked>{}{detail}</label>",
        escape_html(scope),
        escape_html(description)
    )
}

/// A description of the scope, or the scope itself if it is not a known one.
fn describe_scope(scope: &str) -> &str {
    let canonical = canonical_scope(scope);
    match canonical.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(canonical) {
        "openid" => "identify you",
        "userinfo.email" => "see your e-mail address",
        "userinfo.profile" => "see your name",
        "offline_access" => "stay signed in",
        "cloud-platform" => "see and change your data in Google Cloud",
        "cloud-platform.read-only" => "see your data in Google Cloud",
        "appengine.admin" => "manage your App Engine applications",
        "sqlservice.login" => "sign in to your Cloud SQL instances",
        "compute" => "manage your Compute Engine resources",
        "accounts.reauth" => "ask you to reauthenticate you",
        "drive.file" => "see and change the Drive files you use with it",
        "drive.appdata" => "keep its own data in your Drive",
        _ => scope,
    }
}

/// The origin of a URL as a source of a content security policy, which cannot express IPv6 addresses.
fn csp_origin(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if !url.host.contains(':') => format!("http://{}:{}", url.host, url.port),
        _ => "http:".to_owned(),
    }
}

fn html_page(status: u16, title: &str, inner: &str, form_targets: &str) -> ServerResponse {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} - gauth sandbox</title><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><main>{inner}</main>\
         <footer>This is an offline fake of Google on this machine. No real account signs in here.</footer>\
         </body></html>\n",
        escape_html(title)
    );
    ServerResponse::text(status, text)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Content-Security-Policy", content_security_policy(STYLE, form_targets))
        .header("Cache-Control", "no-store")
        .header("X-Content-Type-Options", "nosniff")
        .header("X-Frame-Options", "DENY")
        // With a stricter policy the browser would not send the origin of the form.
        .header("Referrer-Policy", "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_text_is_escaped() {
        let page = message_page(400, "<b>", "\"a\" & 'b' <script>");
        let body = String::from_utf8(page.body).expect("text");
        assert!(body.contains("&quot;a&quot; &amp; &#39;b&#39; &lt;script&gt;"), "{body}");
        assert!(!body.contains("<b>") && !body.contains("<script"), "{body}");
    }

    #[test]
    fn redirect_origins_fit_the_content_security_policy() {
        assert_eq!(csp_origin("http://127.0.0.1:4711/x?y"), "http://127.0.0.1:4711");
        assert_eq!(csp_origin("http://localhost"), "http://localhost:80");
        assert_eq!(csp_origin("http://[::1]:4711/"), "http:");
    }
}
