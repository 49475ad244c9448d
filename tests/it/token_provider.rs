//! gauth-core as a library: the tokens of a [`TokenProvider`] in the sandbox.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use gauth_core::world::World;
use gauth_core::world::env::Env;
use gauth_core::world::folders::Folders;
use gauth_core::{ErrorKind, TokenProvider};
use gauth_sandbox::environment::HostEnvironment;
use gauth_sandbox::fixtures::{SERVICE_ACCOUNT, USER};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};

const AUDIENCE: &str = "https://service-abc.run.app";

/// The world of a program that runs in the sandbox, with this home.
fn world_in(sandbox: &RunningSandbox, home: &Path) -> World {
    let changes = sandbox.environment(&HostEnvironment::default()).unwrap();
    let variables = changes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let mut world = gauth_core::http::real_world();
    world.env = Env::Fixed(variables.chain([("HOME".to_owned(), home.into())]).collect());
    world.folders = Folders::from_env(&world.env);
    world
}

fn start_sandbox() -> RunningSandbox {
    Sandbox::start(SandboxOptions::default()).unwrap()
}

#[test]
fn the_default_credential_gives_tokens_and_shares_the_cache() {
    let (sandbox, home) = (start_sandbox(), tempfile::tempdir().unwrap());
    let provider = TokenProvider::in_world(world_in(&sandbox, home.path()), None).unwrap();
    let token = provider.access_token().unwrap();
    assert_eq!(token.account.as_deref(), Some(SERVICE_ACCOUNT));
    assert!(!token.from_cache && token.expires_at.is_some());
    let other = TokenProvider::in_world(world_in(&sandbox, home.path()), None).unwrap();
    let cached = other.access_token().unwrap();
    assert!(cached.from_cache && cached.secret.constant_time_eq(&token.secret));
    let id_token = provider.id_token(AUDIENCE).unwrap();
    assert!(id_token.secret.starts_with("eyJ"), "a JWT");
}

#[test]
fn a_given_credential_gives_tokens_with_scopes() {
    let (sandbox, home) = (start_sandbox(), tempfile::tempdir().unwrap());
    let json = std::fs::read(sandbox.authorized_user_file()).unwrap();
    let provider = TokenProvider::in_world(world_in(&sandbox, home.path()), Some(&json)).unwrap();
    let token = provider.with_scopes(["cloud-platform"]).access_token().unwrap();
    let scope = "https://www.googleapis.com/auth/cloud-platform".to_owned();
    assert_eq!(token.scopes, Some(vec![scope]));
    assert_eq!(token.account.as_deref(), Some(USER));
}

#[test]
fn errors_have_a_kind_and_name_what_is_wrong() {
    let (sandbox, home) = (start_sandbox(), tempfile::tempdir().unwrap());
    let provider = |json: &str| TokenProvider::in_world(world_in(&sandbox, home.path()), Some(json.as_bytes()));
    let error = provider("{\"type\": \"nothing\"}").err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.message().starts_with("the JSON of the credential: "), "{}", error.message());
    let mut world = world_in(&sandbox, home.path());
    world.env = Env::Fixed([("NO_GCE_CHECK".to_owned(), "true".into())].into());
    world.folders = Folders::from_env(&world.env);
    let none = TokenProvider::in_world(world, None).err().expect("an error");
    assert_eq!(none.kind(), ErrorKind::NoCredential);
}
