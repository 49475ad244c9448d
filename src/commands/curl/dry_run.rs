//! The requests of `gauth curl --dry-run`.

use crate::commands::curl::arguments::CurlInvocation;
use crate::commands::curl::destination::CurlTokenKind;
use gauth_core::text::{duration, printable, secret};
use gauth_core::tokens::Token;

/// The header with the project that is billed and whose quota counts.
pub(super) const QUOTA_PROJECT_HEADER: &str = "x-goog-user-project";

/// Shows method, URL and headers of each request; of the token, its prefix and fingerprint. `now` is in Unix seconds.
pub(super) fn dry_run(invocation: &CurlInvocation, token_kind: &CurlTokenKind, token: &Token, now: i64) -> String {
    let prefix = token.secret.known_prefix();
    let mut details = vec![match (token_kind, &token.account) {
        (CurlTokenKind::AccessToken, Some(account)) => {
            format!("access token of {}", printable::text(account))
        }
        (CurlTokenKind::AccessToken, None) => "access token".to_owned(),
        (CurlTokenKind::IdToken(audience), _) => {
            format!("ID token for {}", printable::text(audience))
        }
    }];
    details.extend(token.seconds_left(now).map(|left| format!("{} left", duration::humanize(left))));
    details.push(format!("fingerprint {}", token.secret.fingerprint()));
    let authorization = format!("authorization: Bearer {prefix}… ({})", details.join(", "));
    let mut paragraphs = Vec::new();
    for group in &invocation.groups {
        for url in &group.urls {
            let mut lines =
                vec![format!("{} {}", printable::text(group.method()), printable::text(url)), authorization.clone()];
            if let (Some(project), false) = (&token.quota_project, group.has_header(QUOTA_PROJECT_HEADER)) {
                lines.push(format!("{QUOTA_PROJECT_HEADER}: {}", printable::text(project)));
            }
            lines.extend(group.headers.iter().map(|header| printable::text(header)));
            paragraphs.push(secret::redact(&lines.join("\n")) + "\n");
        }
    }
    paragraphs.join("\n")
}
