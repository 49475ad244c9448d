//! The values of `--format`.

/// An output format for tokens.
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
