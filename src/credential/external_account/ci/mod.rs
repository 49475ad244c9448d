//! The OIDC tokens that CI systems and clusters give to their jobs: one line for each system in a table.

mod agent;
mod server;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::Setting;
use crate::credential::external_account::url::Service;
use crate::credential::external_account::workload::{Content, Variable as Held};
use crate::credential::external_account::{Pool, SubjectSource};
use crate::error::{Error, ErrorKind, Result};
use crate::jwt;
use crate::secret::Secret;
use crate::world::World;
use crate::world::env::{self, Variable};

/// Something that gives tokens to what runs in it.
pub struct System {
    /// What it is called.
    pub name: &'static str,
    /// The variables that tell it; one of them is enough.
    pub marks: &'static [Variable],
    /// How it gives tokens.
    way: Way,
    /// How it is made to. `{audience}` stands for the provider's.
    mend: &'static str,
}

/// How a token is given.
enum Way {
    /// In one of these variables.
    Variables(&'static [Variable]),
    /// By a server that these variables lead to.
    Server(&'static [Variable], fn(&Job<'_>) -> Result<Service>),
    /// By Buildkite's own program.
    Agent,
    /// In one of these files, below the root.
    Files(&'static [&'static str]),
}

/// The systems, in the order in which they are believed. A runner may itself be a pod, so Kubernetes is the last.
pub const SYSTEMS: &[System] = &[
    System {
        name: "GitHub Actions",
        marks: &[env::GITHUB_ACTIONS],
        way: Way::Server(
            &[env::ACTIONS_ID_TOKEN_REQUEST_URL, env::ACTIONS_ID_TOKEN_REQUEST_TOKEN],
            server::github,
        ),
        mend: "\"permissions: id-token: write\" in the workflow; pull requests from forks are given none",
    },
    System {
        name: "GitLab CI",
        marks: &[env::GITLAB_CI],
        // The user chooses the name. These are what GitLab's own pages call it, and what it was before that.
        way: Way::Variables(&[
            env::GITLAB_OIDC_TOKEN,
            env::GCP_ID_TOKEN,
            env::ID_TOKEN_1,
            env::CI_JOB_JWT_V2,
        ]),
        mend: "\"id_tokens: {GITLAB_OIDC_TOKEN: {aud: {audience}}}\" in the job, \
               or --subject-token-env NAME",
    },
    System {
        name: "CircleCI",
        marks: &[env::CIRCLECI],
        way: Way::Variables(&[env::CIRCLE_OIDC_TOKEN_V2, env::CIRCLE_OIDC_TOKEN]),
        mend: "a context for the job, which older servers want, or --subject-token-env NAME",
    },
    System {
        name: "Buildkite",
        marks: &[env::BUILDKITE],
        way: Way::Agent,
        mend: "run this in a job, where the agent sets its variables",
    },
    System {
        name: "Bitbucket Pipelines",
        marks: &[env::BITBUCKET_BUILD_NUMBER],
        way: Way::Variables(&[env::BITBUCKET_STEP_OIDC_TOKEN]),
        mend: "\"oidc: true\" in the step",
    },
    System {
        name: "Azure DevOps",
        marks: &[env::TF_BUILD],
        way: Way::Server(&[env::SYSTEM_OIDCREQUESTURI, env::SYSTEM_ACCESSTOKEN], server::azure),
        mend: "\"env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}\" in the step, \
               or --subject-token-env idToken in AzureCLI@2 with addSpnToEnvironment",
    },
    System {
        name: "HCP Terraform",
        marks: &[env::TFC_RUN_ID, env::TFC_WORKLOAD_IDENTITY_TOKEN],
        way: Way::Variables(&[env::TFC_WORKLOAD_IDENTITY_TOKEN]),
        mend: "TFC_WORKLOAD_IDENTITY_AUDIENCE = {audience} in the workspace; \
               a token with a tag: --subject-token-env TFC_WORKLOAD_IDENTITY_TOKEN_TAG",
    },
    System {
        name: "Kubernetes",
        marks: &[env::KUBERNETES_SERVICE_HOST],
        // No path is the rule. These are Google's for other clusters and for fleets, that of the webhook that
        // completes pods, and OpenShift's.
        way: Way::Files(&[
            "var/run/service-account/token",
            "var/run/secrets/tokens/gcp-ksa/token",
            "var/run/secrets/sts.googleapis.com/serviceaccount/token",
            "var/run/secrets/openshift/serviceaccount/token",
        ]),
        mend: "project a serviceAccountToken with the audience {audience}, or --subject-token-file; \
               the pod's default token is for the cluster alone",
    },
];

/// What asks for a token.
struct Job<'a> {
    audience: &'a str,
    setting: &'a Setting,
    world: &'a World,
}

impl Job<'_> {
    /// The audience as systems are asked for it: a provider that lists none of its own accepts this one, as it
    /// does the name alone.
    fn wanted(&self) -> String {
        format!("https:{}", self.audience)
    }
}

/// The token of the system this runs in, for the provider with this audience. Nobody is asked for it yet.
///
/// # Errors
/// `NoCredential`, when this is no known system or it gives this job none.
pub(super) fn find(
    audience: &str,
    setting: &Setting,
    world: &World,
) -> Result<Box<dyn SubjectSource>> {
    let here: Vec<&System> = SYSTEMS.iter().filter(|system| system.is_here(world)).collect();
    let Some((system, others)) = here.split_first() else { return Err(nowhere()) };
    world.terminal.note(|| {
        let marked = |system: &System| format!("{} ({})", system.name, listed(system.marks));
        let others: Vec<String> = others.iter().map(|other| marked(other)).collect();
        match others.is_empty() {
            true => format!("the token of {} is used", marked(system)),
            false => format!("the token of {} is used, not {}", marked(system), others.join(", ")),
        }
    });
    system.source(&Job { audience, setting, world })
}

/// The CI system this runs in, for advice. A pod may have better than federation.
pub fn recognised(world: &World) -> Option<&'static System> {
    let is_ci = |system: &&System| !matches!(system.way, Way::Files(_));
    SYSTEMS.iter().filter(is_ci).find(|system| system.is_here(world))
}

impl System {
    fn is_here(&self, world: &World) -> bool {
        self.marks.iter().any(|mark| {
            world.env.os(mark).is_some_and(|value| !value.eq_ignore_ascii_case("false"))
        })
    }

    /// The token that this job is given.
    fn source(&self, job: &Job<'_>) -> Result<Box<dyn SubjectSource>> {
        let named = |place: String, source: Box<dyn SubjectSource>| -> Box<dyn SubjectSource> {
            Box::new(Given { place, source })
        };
        match &self.way {
            Way::Variables(names) => {
                let held = self.held(names, job)?;
                Ok(named(format!("{} of {}", held.place(), self.name), Box::new(held)))
            }
            Way::Server(needed, asked) => {
                let env = &job.world.env;
                match needed.iter().find(|variable| env.os(variable).is_none()) {
                    Some(missing) => {
                        Err(self.gives_none(&format!("{} is not set", missing.name), job))
                    }
                    None => {
                        let mut service = asked(job)?;
                        service.mend = self.advice(job);
                        Ok(named(self.name.to_owned(), Box::new(service)))
                    }
                }
            }
            Way::Agent => match agent::source(job)? {
                Some(source) => Ok(named(self.name.to_owned(), source)),
                None => Err(self.gives_none("BUILDKITE_JOB_ID is not set", job)),
            },
            Way::Files(paths) => {
                let root = &job.world.folders.root;
                let there = paths.iter().map(|path| root.join(path)).find(|path| path.exists());
                let Some(path) = there else {
                    let paths = paths.join(", /");
                    return Err(self.gives_none(&format!("there is none of /{paths}"), job));
                };
                let content = Content::of(path, &job.setting.place)?;
                Ok(named(format!("{} of {}", content.place(), self.name), Box::new(content)))
            }
        }
    }

    /// The first of these variables with a token that names the provider, else the first with a token: a job may
    /// have one for somebody else, and a provider may ask for another audience than its name.
    fn held(&self, names: &[Variable], job: &Job<'_>) -> Result<Held> {
        let mut held = Vec::new();
        let mut tokens = Vec::new();
        for variable in names {
            let Some(token) = job.world.env.secret(variable.name)? else { continue };
            held.push(*variable);
            if let Some(address) = jwt::addressed(&token) {
                tokens.push((variable, token, address));
            }
        }
        let fits = |address: &jwt::Addressed| {
            let name = |audience: &String| {
                audience.strip_prefix("https:").unwrap_or(audience) == job.audience
            };
            address.audiences.iter().any(name)
        };
        let best = tokens.iter().find(|(_, _, address)| fits(address)).or(tokens.first());
        match best {
            Some((variable, token, _)) => Ok(Held::holding(variable.name, token.clone())),
            None if held.is_empty() => {
                Err(self.gives_none(&format!("there is no {}", listed(names)), job))
            }
            None => Err(self.gives_none(&format!("no JWT is in {}", listed(&held)), job)),
        }
    }

    fn gives_none(&self, why: &str, job: &Job<'_>) -> Error {
        let message = format!("{} gives this job no token, {why}", self.name);
        Error::new(ErrorKind::NoCredential, message).hint(self.advice(job))
    }

    fn advice(&self, job: &Job<'_>) -> String {
        self.mend.replace("{audience}", &job.wanted())
    }
}

fn nowhere() -> Error {
    let marks: Vec<&str> =
        SYSTEMS.iter().flat_map(|system| system.marks).map(|mark| mark.name).collect();
    let message =
        format!("no CI system or cluster is recognised, none of {} is set", marks.join(", "));
    Error::new(ErrorKind::NoCredential, message).hint(
        "name the token with --subject-token-file, --subject-token-env or --subject-token-url",
    )
}

fn listed(variables: &[Variable]) -> String {
    let names: Vec<&str> = variables.iter().map(|variable| variable.name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A source under the name of the system it belongs to.
struct Given {
    place: String,
    source: Box<dyn SubjectSource>,
}

impl SubjectSource for Given {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        self.source.identify(digest);
    }

    fn subject_token(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        self.source.subject_token(pool, broker)
    }
}
