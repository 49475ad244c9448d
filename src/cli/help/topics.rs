//! The topics of help about parts of the core, which has no help texts of its own.

use crate::output::page::Topic;
use gauth_core::credentials::external_account::ci::CI_SYSTEMS;
use gauth_core::error::ERROR_KINDS;
use gauth_core::world::env::VARIABLES;

pub(super) const SOURCES_TOPIC: Topic = Topic {
    name: "sources",
    title: "Credential sources",
    write: |page| {
        page.paragraphs(
            "The flags `--credentials`, `--account`, `--workload-identity-provider` and \
             `--profile` choose a credential. Without them, gauth uses the first of these \
             sources that has one:",
        );
        page.table(SOURCE_ROWS);
        page.paragraphs(
            "A source that is set but unusable is an error: gauth does not try later ones. \
             `gauth status` shows what each source has on this machine and which one is used. \
             `--source` restricts the search to one of them.\n\n\
             gauth reads every kind of Google credential: service account keys, user logins \
             (gcloud's ADC file, `token.json` of Google's quickstarts), external accounts \
             (workload and workforce identity federation with a file, URL, AWS, executable or \
             certificate as source), workforce logins, impersonated service accounts, service \
             accounts of Google Distributed Cloud, gcloud's own accounts, static access tokens, \
             and the metadata server.\n\n\
             `--impersonate-service-account` and `--downscope` work with any of them.",
        );
        let systems: Vec<&str> = CI_SYSTEMS.iter().map(|system| system.name).collect();
        page.paragraphs(&format!(
            "`--workload-identity-provider` needs no credential file in CI. It exchanges the OIDC \
             token that a job is given by {}. `--subject-token-file`, `--subject-token-env` and \
             `--subject-token-url` name any other token.",
            systems.join(", ")
        ));
    },
};

const SOURCE_ROWS: &[(&str, &str)] = &[
    (
        "1",
        "an access token in CLOUDSDK_AUTH_ACCESS_TOKEN, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE or \
         GOOGLE_OAUTH_ACCESS_TOKEN",
    ),
    ("2", "a credential in GAUTH_CREDENTIALS, then GOOGLE_APPLICATION_CREDENTIALS"),
    ("3", "gauth's active account, which gauth login and gauth accounts use set"),
    ("4", "gcloud's application default credentials (ADC) file"),
    ("5", "gcloud's active account"),
    ("6", "the metadata server of Compute Engine, GKE, Cloud Run and others"),
];

pub(super) const ENVIRONMENT: Topic = Topic {
    name: "environment",
    title: "Environment",
    write: |page| {
        page.paragraphs(
            "A flag overrides its `GAUTH_*` variable, which overrides Google's own variable, \
             which overrides config.toml. An empty variable counts as unset.",
        );
        let rows = VARIABLES.iter().map(|variable| (variable.name, variable.about));
        page.table(&rows.collect::<Vec<_>>());
    },
};

pub(super) const EXIT_CODES: Topic = Topic {
    name: "exit-codes",
    title: "Exit status",
    write: |page| {
        let codes = ERROR_KINDS.iter().map(|(kind, _, about)| (kind.exit_code().to_string(), *about));
        let codes: Vec<(String, &str)> = codes.collect();
        let codes = codes.iter().map(|(code, about)| (code.as_str(), *about));
        let all = [("0", "success")].into_iter().chain(codes);
        page.table(&all.chain([("128+n", "ended by signal n")]).collect::<Vec<_>>());
        page.paragraphs(
            "`curl`, `exec` and `sandbox` return the status of the program that they run. After a \
             failure standard output is empty, and standard error has two lines: `gauth:` what \
             happened, `try:` how to fix it.",
        );
    },
};

pub(super) const FILES: Topic = Topic {
    name: "files",
    title: "Files",
    write: |page| {
        page.paragraphs(
            "gauth keeps its files in the folder that GAUTH_CONFIG_DIR names, or else in the \
             folder `gauth` of the system's configuration folder (~/.config/gauth on Linux).",
        );
        page.table(FILE_ROWS);
        page.paragraphs("A config.toml with every key:");
        page.verbatim(CONFIG_EXAMPLE);
    },
};

const FILE_ROWS: &[(&str, &str)] = &[
    ("config.toml", "the user's settings and profiles, without secrets"),
    ("state.json", "the active account, and the account of each profile"),
    (
        "accounts/",
        "one file per login, in the JSON format of Google's libraries; without its secrets where \
         another store holds them",
    ),
    ("accounts/shadow/", "refresh tokens that a server replaced, for logins whose own file gauth does not write"),
    ("tokens/", "one file per cached token; they may be deleted at any time"),
    ("locks/", "empty files that processes lock while they request a token"),
];

const CONFIG_EXAMPLE: &str = "\
profile = \"work\"                # used without --profile and GAUTH_PROFILE
timeout = \"10s\"
store = \"command\"               # for new logins: file, keyring or command

[store_command]                 # for all profiles
get = [\"pass\", \"show\", \"gauth/{account}\"]
put = [\"pass\", \"insert\", \"--multiline\", \"--force\", \"gauth/{account}\"]
erase = [\"pass\", \"rm\", \"--force\", \"gauth/{account}\"]

[profiles.work]
account = \"ada@example.com\"     # or: credentials = \"/home/ada/key.json\"
source = \"gcloud\"
scopes = [\"cloud-platform\"]
impersonate_service_account = \"ci@my-project.iam.gserviceaccount.com\"
quota_project = \"my-project\"
client_id_file = \"/home/ada/client_secret.json\"  # to sign in with
universe_domain = \"googleapis.com\"
min_ttl = \"10m\"
no_cache = false
ca_file = \"/etc/ssl/corporate.pem\"
allowed_hosts = [\"api.example.com\"]
allowed_token_hosts = [\"sts.example.com\"]

[profiles.ci]                   # in CI, without a key
workload_identity_provider = \"projects/1/…/providers/q\"
";
