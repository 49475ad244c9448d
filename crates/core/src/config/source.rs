//! The sources of credentials, by the names that `--source`, `GAUTH_SOURCE` and the JSON output use.

/// Where a credential comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An environment variable that holds a token, or holds or names a credential.
    Env,
    /// gauth's active account, which `gauth login` stores.
    Login,
    /// The file of Application Default Credentials in gcloud's folder.
    Adc,
    /// gcloud's active account, or what its properties put in place of it.
    Gcloud,
    /// The metadata server of Google's machines.
    Metadata,
    /// The file of `--credentials`, or of `credentials` in `config.toml`.
    File,
    /// Workload Identity Federation without a credential file.
    Workload,
}

impl Source {
    /// The sources that `--source` can name, in the order in which they are searched.
    pub const SEARCHED: [Source; 5] = [Source::Env, Source::Login, Source::Adc, Source::Gcloud, Source::Metadata];

    /// The name in flags, variables and the JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Env => "env",
            Source::Login => "login",
            Source::Adc => "adc",
            Source::Gcloud => "gcloud",
            Source::Metadata => "metadata",
            Source::File => "file",
            Source::Workload => "workload",
        }
    }

    /// The source that `--source NAME` names; `None` when there is none of this name.
    pub fn parse(name: &str) -> Option<Source> {
        Source::SEARCHED.into_iter().find(|source| source.as_str() == name)
    }
}
