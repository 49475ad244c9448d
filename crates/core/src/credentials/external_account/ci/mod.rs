//! The OIDC tokens that CI systems and clusters give to their jobs: one line for each system in a table.

mod agent;
mod server;

use crate::credentials::ParseOptions;
use crate::credentials::external_account::given_token::{HashedFileSource, VariableSource};
use crate::credentials::external_account::url::UrlSource;
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::error::{Error, ErrorKind, Result};
use crate::jose::jwt;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::env::Variable;
use crate::world::{World, env, files};

/// A CI system or cluster that gives tokens to the jobs it runs.
pub struct CiSystem {
    /// Its name, for messages.
    pub name: &'static str,
    /// The variables it is recognised by; one of them is enough.
    pub detection_variables: &'static [Variable],
    /// Where it puts its tokens.
    delivery: TokenDelivery,
    /// The hint that makes it give one. `{audience}` stands for the provider's audience.
    setup_hint: &'static str,
}

/// Where a system puts the token of a job.
enum TokenDelivery {
    /// One of these variables.
    Variables(&'static [Variable]),
    /// A server, whose URL is in these variables.
    Server(&'static [Variable], fn(&CiJob<'_>) -> Result<UrlSource>),
    /// Buildkite's agent, a program.
    BuildkiteAgent,
    /// One of these files, relative to the root folder.
    Files(&'static [&'static str]),
}

/// The systems, in the order they are recognised. A runner may itself be a pod, so Kubernetes is the last.
pub const CI_SYSTEMS: &[CiSystem] = &[
    CiSystem {
        name: "GitHub Actions",
        detection_variables: &[env::GITHUB_ACTIONS],
        delivery: TokenDelivery::Server(
            &[env::ACTIONS_ID_TOKEN_REQUEST_URL, env::ACTIONS_ID_TOKEN_REQUEST_TOKEN],
            server::github_actions,
        ),
        setup_hint: "\"permissions: id-token: write\" in the workflow; pull requests from forks get no token",
    },
    CiSystem {
        name: "GitLab CI",
        detection_variables: &[env::GITLAB_CI],
        // The user chooses the name. These are the ones in GitLab's documentation, today and before.
        delivery: TokenDelivery::Variables(&[
            env::GITLAB_OIDC_TOKEN,
            env::GCP_ID_TOKEN,
            env::ID_TOKEN_1,
            env::CI_JOB_JWT_V2,
        ]),
        setup_hint: "\"id_tokens: {GITLAB_OIDC_TOKEN: {aud: {audience}}}\" in the job, \
               or --subject-token-env NAME",
    },
    CiSystem {
        name: "CircleCI",
        detection_variables: &[env::CIRCLECI],
        delivery: TokenDelivery::Variables(&[env::CIRCLE_OIDC_TOKEN_V2, env::CIRCLE_OIDC_TOKEN]),
        setup_hint: "give the job a context, which older servers need, or use --subject-token-env NAME",
    },
    CiSystem {
        name: "Buildkite",
        detection_variables: &[env::BUILDKITE],
        delivery: TokenDelivery::BuildkiteAgent,
        setup_hint: "run this in a job, where the agent sets its variables",
    },
    CiSystem {
        name: "Bitbucket Pipelines",
        detection_variables: &[env::BITBUCKET_BUILD_NUMBER],
        delivery: TokenDelivery::Variables(&[env::BITBUCKET_STEP_OIDC_TOKEN]),
        setup_hint: "\"oidc: true\" in the step",
    },
    CiSystem {
        name: "Azure DevOps",
        detection_variables: &[env::TF_BUILD],
        delivery: TokenDelivery::Server(&[env::SYSTEM_OIDCREQUESTURI, env::SYSTEM_ACCESSTOKEN], server::azure_devops),
        setup_hint: "\"env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}\" in the step, \
               or --subject-token-env idToken in AzureCLI@2 with addSpnToEnvironment",
    },
    CiSystem {
        name: "HCP Terraform",
        detection_variables: &[env::TFC_RUN_ID, env::TFC_WORKLOAD_IDENTITY_TOKEN],
        delivery: TokenDelivery::Variables(&[env::TFC_WORKLOAD_IDENTITY_TOKEN]),
        setup_hint: "TFC_WORKLOAD_IDENTITY_AUDIENCE = {audience} in the workspace; \
               a token with a tag: --subject-token-env TFC_WORKLOAD_IDENTITY_TOKEN_TAG",
    },
    CiSystem {
        name: "Kubernetes",
        detection_variables: &[env::KUBERNETES_SERVICE_HOST],
        // There is no standard path. These are Google's for clusters and fleets, that of its webhook, and OpenShift's.
        delivery: TokenDelivery::Files(&[
            "var/run/service-account/token",
            "var/run/secrets/tokens/gcp-ksa/token",
            "var/run/secrets/sts.googleapis.com/serviceaccount/token",
            "var/run/secrets/openshift/serviceaccount/token",
        ]),
        setup_hint: "project a serviceAccountToken with the audience {audience}, or --subject-token-file; \
               the pod's default token is for the cluster alone",
    },
];

/// What a job's token is for.
struct CiJob<'a> {
    audience: &'a str,
    parse_options: &'a ParseOptions,
    world: &'a World,
}

impl CiJob<'_> {
    /// The audience that the system is asked for: a provider without allowed audiences of its own accepts it.
    fn requested_audience(&self) -> String {
        format!("https:{}", self.audience)
    }
}

/// The token source of the system this process runs in, for the provider with this audience. No request is sent yet.
///
/// # Errors
/// `NoCredential`, when no known system is recognised, or it gives this job no token.
pub(super) fn find_token_source(
    audience: &str,
    parse_options: &ParseOptions,
    world: &World,
) -> Result<Box<dyn SubjectTokenSource>> {
    let active: Vec<&CiSystem> = CI_SYSTEMS.iter().filter(|system| system.is_active(world)).collect();
    let Some((system, others)) = active.split_first() else { return Err(no_system_error()) };
    world.terminal.note(|| {
        let describe = |system: &CiSystem| format!("{} ({})", system.name, list_names(system.detection_variables));
        let others: Vec<String> = others.iter().map(|other| describe(other)).collect();
        match others.is_empty() {
            true => format!("the token of {} is used", describe(system)),
            false => {
                format!("the token of {} is used, not {}", describe(system), others.join(", "))
            }
        }
    });
    system.token_source(&CiJob { audience, parse_options, world })
}

/// The CI system this process runs in, for hints; not Kubernetes, where a pod may have the metadata server.
pub fn detect_ci_system(world: &World) -> Option<&'static CiSystem> {
    let is_ci = |system: &&CiSystem| !matches!(system.delivery, TokenDelivery::Files(_));
    CI_SYSTEMS.iter().filter(is_ci).find(|system| system.is_active(world))
}

impl CiSystem {
    fn is_active(&self, world: &World) -> bool {
        self.detection_variables
            .iter()
            .any(|variable| world.env.os(variable).is_some_and(|value| !value.eq_ignore_ascii_case("false")))
    }

    /// The source of this job's token.
    fn token_source(&self, job: &CiJob<'_>) -> Result<Box<dyn SubjectTokenSource>> {
        let with_system_name = |location: String, source: Box<dyn SubjectTokenSource>| -> Box<dyn SubjectTokenSource> {
            Box::new(NamedSubjectTokenSource { location, source })
        };
        match &self.delivery {
            TokenDelivery::Variables(names) => {
                let variable_source = self.variable_source(names, job)?;
                Ok(with_system_name(
                    format!("{} of {}", variable_source.location(), self.name),
                    Box::new(variable_source),
                ))
            }
            TokenDelivery::Server(required, build_source) => {
                let env = &job.world.env;
                match required.iter().find(|variable| env.os(variable).is_none()) {
                    Some(missing) => Err(self.no_token_error(&format!("{} is not set", missing.name), job)),
                    None => {
                        let mut url_source = build_source(job)?;
                        url_source.failure_hint = self.setup_advice(job);
                        Ok(with_system_name(self.name.to_owned(), Box::new(url_source)))
                    }
                }
            }
            TokenDelivery::BuildkiteAgent => match agent::find(job)? {
                Some(source) => Ok(with_system_name(self.name.to_owned(), source)),
                None => Err(self.no_token_error("BUILDKITE_JOB_ID is not set", job)),
            },
            TokenDelivery::Files(paths) => {
                let root = &job.world.folders.system_root;
                let existing = paths.iter().map(|path| root.join(path)).find(|path| files::exists(path));
                let Some(path) = existing else {
                    let paths = paths.join(", /");
                    return Err(self.no_token_error(&format!("there is none of /{paths}"), job));
                };
                let content = HashedFileSource::open(path, &job.parse_options.location)?;
                Ok(with_system_name(format!("{} of {}", content.location(), self.name), Box::new(content)))
            }
        }
    }

    /// The first of these variables with a token for the provider's audience, else the first with any token: a job may
    /// have tokens for other services, and a provider may allow other audiences.
    fn variable_source(&self, names: &[Variable], job: &CiJob<'_>) -> Result<VariableSource> {
        let mut set_variables = Vec::new();
        let mut tokens = Vec::new();
        for variable in names {
            let Some(token) = job.world.env.secret(variable.name)? else { continue };
            set_variables.push(*variable);
            if let Some(address) = jwt::issuer_and_audiences(&token) {
                tokens.push((variable, token, address));
            }
        }
        let names_audience = |address: &jwt::IssuerAndAudiences| {
            let name = |audience: &String| audience.strip_prefix("https:").unwrap_or(audience) == job.audience;
            address.audiences.iter().any(name)
        };
        let best = tokens.iter().find(|(_, _, address)| names_audience(address)).or(tokens.first());
        match best {
            Some((variable, token, _)) => Ok(VariableSource::new(variable.name, token.clone())),
            None if set_variables.is_empty() => {
                Err(self.no_token_error(&format!("there is no {}", list_names(names)), job))
            }
            None => Err(self.no_token_error(&format!("no JWT is in {}", list_names(&set_variables)), job)),
        }
    }

    fn no_token_error(&self, why: &str, job: &CiJob<'_>) -> Error {
        let message = format!("{} gives this job no token, {why}", self.name);
        Error::new(ErrorKind::NoCredential, message).hint(self.setup_advice(job))
    }

    fn setup_advice(&self, job: &CiJob<'_>) -> String {
        self.setup_hint.replace("{audience}", &job.requested_audience())
    }
}

fn no_system_error() -> Error {
    let variables: Vec<&str> =
        CI_SYSTEMS.iter().flat_map(|system| system.detection_variables).map(|mark| mark.name).collect();
    let message = format!("no CI system or cluster is recognised, none of {} is set", variables.join(", "));
    Error::new(ErrorKind::NoCredential, message)
        .hint("name the token with --subject-token-file, --subject-token-env or --subject-token-url")
}

fn list_names(variables: &[Variable]) -> String {
    let names: Vec<&str> = variables.iter().map(|variable| variable.name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A source that errors name after its system.
struct NamedSubjectTokenSource {
    location: String,
    source: Box<dyn SubjectTokenSource>,
}

impl SubjectTokenSource for NamedSubjectTokenSource {
    fn metrics_name(&self) -> &'static str {
        self.source.metrics_name()
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        self.source.hash_cache_key(hasher);
    }

    fn subject_token(&self, request: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        self.source.subject_token(request, session)
    }
}
