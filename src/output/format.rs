//! The values of `--format`.

use crate::output::page::Topic;

/// The formats of a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// The token and a newline.
    #[default]
    Text,
    /// A JSON object with the token and its properties.
    Json,
    /// The HTTP header, `Authorization: Bearer TOKEN`.
    Header,
    /// Assignments of the variables that gcloud and Terraform read.
    Env,
    /// A line for curl's `-K`.
    CurlConfig,
}

/// The help topic about them.
pub const FORMATS: Topic = Topic {
    name: "formats",
    title: "Formats",
    write: |page| {
        page.paragraphs("`--format` chooses how a token is printed. The default is text.");
        page.table(FORMAT_ROWS);
        page.paragraphs("Two ways to give curl a token that `ps` does not show:");
        page.verbatim(
            "curl -H @<(gauth token --format header) URL\n\
             gauth token --format curl-config | curl -K - URL",
        );
    },
};

const FORMAT_ROWS: &[(&str, &str)] = &[
    ("text", "the token and a newline"),
    (
        "json",
        "one object with the keys token, token_type, expires_at, expires_in, scopes, account, \
         kind, source, quota_project, universe_domain and cached; an unknown value is null",
    ),
    ("header", "an HTTP header, `Authorization: Bearer TOKEN`"),
    (
        "env",
        "two lines for a shell, `CLOUDSDK_AUTH_ACCESS_TOKEN=TOKEN` and \
         `GOOGLE_OAUTH_ACCESS_TOKEN=TOKEN`; for an ID token one, `GAUTH_ID_TOKEN=TOKEN`",
    ),
    ("curl-config", "a line for `curl -K`, `header = \"Authorization: Bearer TOKEN\"`"),
];
