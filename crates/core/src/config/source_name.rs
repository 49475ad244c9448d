//! The names of the sources of credentials, as `--source` and `GAUTH_SOURCE` take them.

/// Where a credential may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceName {
    /// The environment variables that hold or name a credential.
    Env,
    /// gauth's active account.
    Login,
    /// The file of Application Default Credentials in gcloud's folder.
    Adc,
    /// gcloud's active account.
    Gcloud,
    /// The metadata server.
    Metadata,
}

impl SourceName {
    /// All of them, in the order in which they are tried.
    pub const ALL: [SourceName; 5] = [
        SourceName::Env,
        SourceName::Login,
        SourceName::Adc,
        SourceName::Gcloud,
        SourceName::Metadata,
    ];

    /// The name that flags, variables and the JSON output use.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceName::Env => "env",
            SourceName::Login => "login",
            SourceName::Adc => "adc",
            SourceName::Gcloud => "gcloud",
            SourceName::Metadata => "metadata",
        }
    }

    /// The source of this name.
    pub fn parse(name: &str) -> Option<SourceName> {
        SourceName::ALL.into_iter().find(|source| source.as_str() == name)
    }
}
