//! The files in `completions/` and `man/` are what the program makes; `UPDATE=1` writes them again. Shells
//! load the scripts and get candidates; the manual is free of warnings.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gauth::cli::{complete, man};
use gauth_core::text::secret::Secret;
use gauth_sandbox::environment::HostEnvironment;
use gauth_sandbox::fixtures::{SERVICE_ACCOUNT, USER};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};

/// What the program makes, by path below the project.
fn generated_files() -> BTreeMap<String, Vec<u8>> {
    let scripts = complete::SHELL_SCRIPTS
        .iter()
        .map(|(shell, file)| (format!("completions/{file}"), complete::registration_script(shell).unwrap()));
    let pages = man::pages().into_iter().map(|(name, page)| (format!("man/{name}"), page));
    scripts.chain(pages).collect()
}

fn project_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn generated_files_are_what_the_program_makes() {
    let files = generated_files();
    let update = std::env::var_os("UPDATE").is_some();
    for (path, bytes) in &files {
        if update {
            fs::write(project_path(path), bytes).unwrap();
        }
        let found = fs::read(project_path(path)).unwrap_or_default();
        assert!(found == *bytes, "{path} is out of date; UPDATE=1 cargo test generated");
    }
    for folder in ["completions", "man"] {
        for entry in fs::read_dir(project_path(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(files.contains_key(&path), "{path} is generated no longer: delete it");
        }
    }
}

fn start_sandbox() -> RunningSandbox {
    let file = include_str!("../data/credentials/service_account.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    Sandbox::start(SandboxOptions {
        key: Some(Secret::new(file["private_key"].as_str().unwrap())),
        gauth_program: Some(env!("CARGO_BIN_EXE_gauth").into()),
        ..SandboxOptions::default()
    })
    .unwrap()
}

/// A program inside the sandbox, or `None` where the machine does not have it.
fn run_in_sandbox(
    sandbox: &RunningSandbox,
    program: &str,
    args: &[&str],
    more_env: &[(&str, &Path)],
) -> Option<Output> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).find(|folder| folder.join(program).is_file())?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).current_dir(sandbox.folder());
    for (name, value) in sandbox.environment(&HostEnvironment { path: Some(path), no_proxy: None }).unwrap() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.envs(more_env.iter().copied()).env("HOME", sandbox.folder()).env("LC_ALL", "C.UTF-8");
    Some(command.output().unwrap())
}

/// A script of this shell prints candidates for `$line`.
#[track_caller]
fn assert_completes(shell: &str, file: &str, candidates_of: impl Fn(&str) -> Vec<String>) {
    let sandbox = start_sandbox();
    let file = project_path(&format!("completions/{file}"));
    for (line, expected, unexpected) in [
        ("gauth to", "token", "status"),
        ("gauth token --source ", "metadata", "token"),
        ("gauth token --account ", USER, "metadata"),
        ("gauth token --account ", SERVICE_ACCOUNT, "metadata"),
        ("gauth help exit", "exit-codes", "files"),
        ("gauth completions z", "zsh", "bash"),
        ("gauth token --credentials serv", "service_account.json", "gauth"),
        ("gauth token --ca-file serv", "service_account.json", "gauth"),
    ] {
        let args = candidates_of(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let Some(output) = run_in_sandbox(&sandbox, shell, &args, &[("SCRIPT", &file)]) else {
            return;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.is_empty(), "{shell}, {line}: {errors}");
        let has = |word| text.lines().any(|found| found.split('\t').next() == Some(word));
        assert!(has(expected) && !has(unexpected), "{shell}, {line}:\n{text}");
    }
}

#[test]
fn bash_completes() {
    assert_completes("bash", "gauth.bash", |line| {
        let script = r#"bash -n "$SCRIPT" && source "$SCRIPT"
            compopt() { :; }
            read -ra COMP_WORDS <<< "$0"
            [[ $0 == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMP_TYPE=9
            _clap_complete_gauth gauth "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            for word in "${COMPREPLY[@]}"; do echo "${word% }"; done"#;
        ["--norc", "-c", script, line].map(str::to_owned).to_vec()
    });
}

#[test]
fn zsh_completes() {
    assert_completes("zsh", "_gauth", |line| {
        // The functions of zsh's own completion that the script ends in, to print what they are given.
        let script = r#"compdef() { :; }
            _describe() { while [[ $1 == -* ]]; do shift; done; shift
                local found; for found in "${(@P)1}"; do print -r -- "${found%%:*}"; done; }
            zsh -n "$SCRIPT" && source "$SCRIPT"
            words=("${(@s: :)1}"); CURRENT=${#words}
            _clap_dynamic_completer_gauth"#;
        ["-f", "-c", script, "zsh", line].map(str::to_owned).to_vec()
    });
}

#[test]
fn fish_completes() {
    assert_completes("fish", "gauth.fish", |line| {
        let script = r#"fish --no-execute $SCRIPT; and source $SCRIPT; and complete -C $argv[1]"#;
        ["--no-config", "-c", script, line].map(str::to_owned).to_vec()
    });
}

#[test]
fn powershell_completes() {
    assert_completes("pwsh", "gauth.ps1", |line| {
        let script = format!(". $env:SCRIPT; (TabExpansion2 '{line}' {}).CompletionMatches.CompletionText", line.len());
        ["-NoProfile", "-NonInteractive", "-Command", &script].map(str::to_owned).to_vec()
    });
}

#[test]
fn elvish_reads_its_script() {
    let sandbox = start_sandbox();
    let file = project_path("completions/gauth.elv");
    let args = ["-norc", "-compileonly", file.to_str().unwrap()];
    if let Some(output) = run_in_sandbox(&sandbox, "elvish", &args, &[]) {
        assert!(output.status.success(), "{output:?}");
    }
}

/// What the program answers to a shell, whatever lies around.
fn completion_output(sandbox: &RunningSandbox, typed_args: &[&str]) -> Output {
    let index = OsString::from((typed_args.len() - 1).to_string());
    let mut args = vec!["--"];
    args.extend(typed_args);
    let more = [
        ("_GAUTH_COMPLETE", Path::new("zsh")),
        ("_CLAP_COMPLETE_INDEX", Path::new(&index)),
        ("_CLAP_IFS", Path::new("\n")),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
    for (name, value) in sandbox.environment(&HostEnvironment::default()).unwrap() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(args).envs(more).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn completion_prints_candidates_only_when_files_are_broken() {
    let sandbox = start_sandbox();
    let accounts = ["gauth", "token", "--account", ""];
    let config = sandbox.folder().join("gauth/config.toml");
    let store = sandbox.folder().join("gcloud/credentials.db");
    let printed = |words: &[&str]| {
        let output = completion_output(&sandbox, words);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    fs::write(&config, "[profiles.work]\n[profiles.home]\n").unwrap();
    assert_eq!(printed(&["gauth", "token", "--profile", ""]), "home\nwork");
    fs::write(&config, "profile = [[[").unwrap();
    assert_eq!(printed(&["gauth", "token", "--profile", ""]), "");
    assert_eq!(printed(&accounts), format!("{USER}\n{SERVICE_ACCOUNT}"));
    fs::write(&store, "not a database, and long enough to be looked at as if it were one").unwrap();
    assert_eq!(printed(&accounts), "");
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    assert_eq!(printed(&accounts), "");
    fs::remove_dir_all(sandbox.folder().join("gcloud")).unwrap();
    fs::write(sandbox.folder().join("gcloud"), "a file where a folder was").unwrap();
    assert_eq!(printed(&accounts), "");
}

#[test]
fn completion_offers_the_names_people_type() {
    let sandbox = start_sandbox();
    let output = completion_output(&sandbox, &["gauth", ""]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("token:print an access token\nid-token:"), "{text}");
    assert!(!text.contains("--credentials") && !text.contains("print-access-token"), "{text}");
    let output = completion_output(&sandbox, &["gauth", "print"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("print-access-token:"), "{text}");
    let output = completion_output(&sandbox, &["gauth", "token", "--"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("--allow-token-host:") && !text.contains("--allow-host"), "{text}");
}

#[test]
fn the_manual_is_free_of_warnings() {
    let sandbox = start_sandbox();
    for (name, _) in man::pages() {
        let page = project_path(&format!("man/{name}"));
        let args = ["-Tlint", "-W", "warning", page.to_str().unwrap()];
        let Some(output) = run_in_sandbox(&sandbox, "mandoc", &args, &[]) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
