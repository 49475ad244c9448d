//! What would be sent, for people to read.

use crate::curl::call::Call;
use crate::curl::destination::Kind;
use crate::duration;
use crate::token::Token;
use crate::{printable, secret};

/// One paragraph for each URL: method, URL, headers; the token as a fingerprint.
pub fn dry_run(call: &Call, kind: &Kind, token: &Token, now: i64) -> String {
    let begin = token.secret.beginning();
    let mut about = vec![match (kind, &token.account) {
        (Kind::Access, Some(account)) => format!("access token of {}", printable::text(account)),
        (Kind::Access, None) => "access token".to_owned(),
        (Kind::Identity(audience), _) => format!("ID token for {}", printable::text(audience)),
    }];
    about.extend(token.left(now).map(|left| format!("{} left", duration::in_words(left))));
    about.push(format!("fingerprint {}", token.secret.fingerprint()));
    let authorization = format!("authorization: Bearer {begin}… ({})", about.join(", "));
    let mut paragraphs = Vec::new();
    for group in &call.groups {
        for url in &group.urls {
            let mut lines = vec![
                format!("{} {}", printable::text(group.method()), printable::text(url)),
                authorization.clone(),
            ];
            if let (Some(project), false) = (&token.quota_project, group.has_header(PROJECT)) {
                lines.push(format!("{PROJECT}: {}", printable::text(project)));
            }
            lines.extend(group.headers.iter().map(|header| printable::text(header)));
            paragraphs.push(secret::redact(&lines.join("\n")) + "\n");
        }
    }
    paragraphs.join("\n")
}

/// The header that names the project which pays.
pub const PROJECT: &str = "x-goog-user-project";
