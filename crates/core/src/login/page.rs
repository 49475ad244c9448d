//! The page that the browser shows at the end of a sign-in: no scripts, no other resources, a light and a dark style.

use crate::http::server::html;
use crate::http::server::html::content_security_policy;
use crate::http::server::http::ServerResponse;
use crate::text::printable;

const STYLESHEET: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText;\
font:1.125rem/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:100%;max-width:34rem;padding:2rem 1.5rem;overflow-wrap:anywhere}\
h1{margin:0 0 .75rem;padding-left:.9rem;border-left:.3rem solid;font-size:1.6rem;line-height:1.25}\
h1.done{border-color:#188038}h1.not{border-color:#d93025}\
p{margin:.5rem 0}\
@media(prefers-color-scheme:dark){h1.done{border-color:#81c995}h1.not{border-color:#f28b82}}";

/// The page after a successful sign-in.
pub fn success(account: &str) -> ServerResponse {
    let account = escape(account);
    render(
        "Signed in",
        "done",
        &format!("<p>gauth has your login as <strong>{account}</strong>.</p>\n<p>You can close this window.</p>"),
    )
}

/// The page after a failed sign-in, with the error and the hint that the terminal shows.
pub fn failure(message: &str, hint: &str) -> ServerResponse {
    let (message, hint) = (escape(message), escape(hint));
    render("Not signed in", "not", &format!("<p>{message}</p>\n<p>Try: {hint}</p>\n<p>You can close this window.</p>"))
}

fn escape(text: &str) -> String {
    html::escape_html(&printable::redacted(text))
}

fn render(title: &str, class: &str, text: &str) -> ServerResponse {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title} – gauth</title>\n<style>{STYLESHEET}</style>\n</head>\n<body>\n<main>\n\
         <h1 class=\"{class}\">{title}</h1>\n{text}\n</main>\n</body>\n</html>\n"
    );
    let mut answer = ServerResponse::empty(200)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Cache-Control", "no-store")
        .header("Referrer-Policy", "no-referrer")
        .header("X-Content-Type-Options", "nosniff")
        .header("Content-Security-Policy", content_security_policy(STYLESHEET, "'none'"));
    answer.body = html.into_bytes();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &ServerResponse) -> String {
        String::from_utf8(answer.body.clone()).expect("text")
    }

    #[test]
    fn a_page_loads_no_resources() {
        for (answer, title) in [
            (success("ada@example.com"), "Signed in"),
            (failure("Google says access_denied", "gauth login"), "Not signed in"),
        ] {
            let html = text(&answer);
            assert!(html.contains("<h1 class=") && html.contains(title), "{html}");
            for foreign in ["<script", "src=", "href=", "url(", "@import", "http:", "https:"] {
                assert!(!html.contains(foreign), "{foreign} in {html}");
            }
            assert!(html.contains("lang=\"en\"") && html.contains("close this window"), "{html}");
        }
    }

    #[test]
    fn error_texts_are_escaped() {
        let html = text(&failure("Google says \"<img src=x onerror=alert(1)>\"\u{1b}[2J", "a & b"));
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;\\u{1b}[2J"), "{html}");
        assert!(html.contains("a &amp; b") && !html.contains('\u{1b}'), "{html}");
    }
}
