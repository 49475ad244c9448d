//! The formats in which a token is printed.

/// The formats of a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// The token alone.
    #[default]
    Text,
    /// One object with everything that is known.
    Json,
    /// `Authorization: Bearer TOKEN`.
    Header,
    /// Variables that gcloud and terraform read.
    Env,
    /// A line for curl's `-K`.
    CurlConfig,
}
