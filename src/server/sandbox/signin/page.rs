//! The pages in the browser: plain HTML that works without scripts and loads nothing, in dark and light, on a
//! phone, and read aloud.

use super::{Asked, Back};
use crate::server::html::{escaped, policy};
use crate::server::http::Answer;
use crate::server::sandbox::cast::{PEOPLE, Person};
use crate::server::sandbox::ledger::{Door, canonical};
use crate::url::Url;

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

/// One that only says something.
pub(super) fn told(status: u16, title: &str, text: &str) -> Answer {
    let inner = format!("<h1>{}</h1><p>{}</p>", escaped(title), escaped(text));
    answer(status, title, &inner, "'none'")
}

/// Where the code of a device is entered; `wrong`: the last one was.
pub(super) fn code_entry(path: &str, wrong: bool) -> Answer {
    let complaint = match wrong {
        true => {
            "<p role=\"alert\" id=\"wrong\">No device waits with this code. Look at it again.</p>"
        }
        false => "",
    };
    let described = if wrong { " aria-invalid=\"true\" aria-describedby=\"wrong\"" } else { "" };
    let inner = format!(
        "<h1>Connect a device</h1>{complaint}<form method=\"get\" action=\"{path}\">\
         <p><label for=\"user_code\">The code that your device shows</label>\
         <input type=\"text\" id=\"user_code\" name=\"user_code\" required autofocus \
         autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" \
         maxlength=\"20\"{described}></p>\
         <button class=\"first\" id=\"next\">Next</button></form>"
    );
    answer(if wrong { 400 } else { 200 }, "Connect a device", &inner, "'self'")
}

/// The one that asks: who, for what, yes or no.
pub(super) fn consent(asked: &Asked, token: &str) -> Answer {
    let place = match asked.door {
        Door::Accounts => "the sandbox's Google",
        Door::Sts => "the sandbox's workforce pool",
        Door::Outside => "the sandbox's other provider",
    };
    let who = match asked.person {
        Some(person) => format!("<p>You are <strong>{}</strong>.</p>", escaped(&shown(person))),
        None => people(),
    };
    let scopes: String =
        asked.scopes.iter().enumerate().map(|(at, scope)| row(at, scope)).collect();
    let inner = format!(
        "<h1>Sign in with {place}?</h1>\
         <p>The program <code>{client}</code> asks for it.</p>\
         <form method=\"post\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\">{who}\
         <fieldset><legend>It may then</legend>{scopes}</fieldset>\
         <button class=\"first\" id=\"allow\" name=\"decision\" value=\"allow\">Allow</button>\
         <button id=\"deny\" name=\"decision\" value=\"deny\">Deny</button></form>",
        client = escaped(&asked.client),
        token = escaped(token),
    );
    let targets = match &asked.back {
        // A browser holds the redirect after a form to the form's own limits.
        Back::Redirect { uri, .. } => format!("'self' {}", origin(uri)),
        Back::Device(_) => "'self'".to_owned(),
    };
    answer(200, "Sign in", &inner, &targets)
}

fn people() -> String {
    let rows: String = PEOPLE
        .iter()
        .enumerate()
        .map(|(at, person)| {
            let checked = if at == 0 { " checked" } else { "" };
            format!(
                "<label><input type=\"radio\" name=\"account\" value=\"{}\"{checked}>{}</label>",
                escaped(person.email),
                escaped(&shown(person))
            )
        })
        .collect();
    format!("<fieldset><legend>You are</legend>{rows}</fieldset>")
}

fn shown(person: &Person) -> String {
    format!("{} {} ({})", person.given_name, person.family_name, person.email)
}

fn row(at: usize, scope: &str) -> String {
    let words = in_words(scope);
    let detail =
        if words == scope { String::new() } else { format!(" <code>{}</code>", escaped(scope)) };
    format!(
        "<label><input type=\"checkbox\" name=\"scope\" id=\"scope{at}\" value=\"{}\" \
         checked>{}{detail}</label>",
        escaped(scope),
        escaped(words)
    )
}

/// What a scope is for, in words; itself where it is not known.
fn in_words(scope: &str) -> &str {
    let long = canonical(scope);
    match long.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(long) {
        "openid" => "know that it is you",
        "userinfo.email" => "see your e-mail address",
        "userinfo.profile" => "see your name",
        "offline_access" => "stay signed in",
        "cloud-platform" => "see and change your data in Google Cloud",
        "cloud-platform.read-only" => "see your data in Google Cloud",
        "appengine.admin" => "manage your App Engine applications",
        "sqlservice.login" => "sign in to your Cloud SQL instances",
        "compute" => "manage your Compute Engine resources",
        "accounts.reauth" => "ask you to prove again that it is you",
        "drive.file" => "see and change the Drive files you use with it",
        "drive.appdata" => "keep its own data in your Drive",
        _ => scope,
    }
}

/// Scheme, host and port, as a content security policy names them: IPv6 addresses it cannot.
fn origin(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if !url.host.contains(':') => format!("http://{}:{}", url.host, url.port),
        _ => "http:".to_owned(),
    }
}

fn answer(status: u16, title: &str, inner: &str, form_targets: &str) -> Answer {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} - gauth sandbox</title><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><main>{inner}</main>\
         <footer>An offline fake of Google on this machine. Nobody real signs in here.</footer>\
         </body></html>\n",
        escaped(title)
    );
    Answer::text(status, text)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Content-Security-Policy", policy(STYLE, form_targets))
        .header("Cache-Control", "no-store")
        .header("X-Content-Type-Options", "nosniff")
        .header("X-Frame-Options", "DENY")
        // Any stricter, and the browser would hide from us where our own form came from.
        .header("Referrer-Policy", "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        let page = told(400, "<b>", "\"a\" & 'b' <script>");
        let body = String::from_utf8(page.body).expect("text");
        assert!(body.contains("&quot;a&quot; &amp; &#39;b&#39; &lt;script&gt;"), "{body}");
        assert!(!body.contains("<b>") && !body.contains("<script"), "{body}");
    }

    #[test]
    fn policies_can_name_where_the_answer_goes() {
        assert_eq!(origin("http://127.0.0.1:4711/x?y"), "http://127.0.0.1:4711");
        assert_eq!(origin("http://localhost"), "http://localhost:80");
        assert_eq!(origin("http://[::1]:4711/"), "http:");
    }
}
