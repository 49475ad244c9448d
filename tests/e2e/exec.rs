//! `gauth exec`: environment and streams of the program, its status, and the files that remain.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use gauth_sandbox::fixtures::DEPLOYER_ACCOUNT;

use super::secret_exposure::run_watched;
use super::{
    CREDENTIAL_KINDS, CredentialKind, ProcessResult, SandboxHome, file_names, find_leaked_secret, pid, run,
    share_machine, wait_for,
};

fn run_shell(test: &SandboxHome, script: &str) -> ProcessResult {
    run(test.shell_command(CredentialKind::ServiceAccount, script))
}

/// The output lines of a run that succeeded without messages.
#[track_caller]
fn output_lines(result: &ProcessResult) -> Vec<&str> {
    assert_eq!((result.exit_code, result.stderr.as_str()), (0, ""), "{result:?}");
    result.stdout.lines().collect()
}

#[test]
fn the_program_gets_the_token_that_gauth_token_prints() {
    let _shared = share_machine();
    for kind in CREDENTIAL_KINDS.into_iter().filter(|kind| *kind != CredentialKind::Gdch) {
        let test = SandboxHome::new(&[]);
        let token = run(test.gauth_command(kind, &["token"])).printed_token();
        let script = "gauth exec -- printenv CLOUDSDK_AUTH_ACCESS_TOKEN GOOGLE_OAUTH_ACCESS_TOKEN; \
                      gauth exec --env MINE --env _2 -- sh -c 'echo $MINE; echo $_2; \
                      echo ${CLOUDSDK_AUTH_ACCESS_TOKEN-none}'";
        let result = run(test.shell_command(kind, script));
        assert_eq!(output_lines(&result), [&token, &token, &token, &token, "none"], "{kind:?}");
    }
}

#[test]
fn the_flags_of_gauth_token_apply() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for flags in ["--scopes email", "--subject ada@example.com", "--refresh", "--min-ttl 1h"] {
        let script = format!("gauth exec {flags} -- printenv GOOGLE_OAUTH_ACCESS_TOKEN");
        let result = run_shell(&test, &script);
        match flags {
            // A new token is valid for an hour, less the time since it was issued.
            "--min-ttl 1h" => assert_eq!(result.exit_code, 7, "{result:?}"),
            "--refresh" => {
                assert_ne!(result.printed_token(), run_shell(&test, &script).printed_token())
            }
            _ => {
                let plain = run_shell(&test, &format!("gauth token {flags}")).printed_token();
                assert_eq!(result.printed_token(), plain, "{flags}");
            }
        }
    }
}

#[test]
fn an_id_token_has_its_own_variable() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let token = run_shell(&test, "gauth id-token --audiences https://svc.example").printed_token();
    for flags in ["--id-token --audiences https://svc.example", "--audience https://svc.example --id-token"] {
        let script = format!("gauth exec {flags} -- printenv GAUTH_ID_TOKEN");
        assert_eq!(run_shell(&test, &script).printed_token(), token);
        let script = format!(
            "gauth exec {flags} -- sh -c 'echo ${{CLOUDSDK_AUTH_ACCESS_TOKEN-none}}${{GOOGLE_OAUTH_ACCESS_TOKEN-none}}'"
        );
        assert_eq!(output_lines(&run_shell(&test, &script)), ["nonenone"]);
        let script = format!("gauth exec {flags} --token-file auto -- sh -c 'cat $GAUTH_ID_TOKEN_FILE; echo'");
        assert_eq!(run_shell(&test, &script).printed_token(), token);
    }
}

#[test]
fn invalid_arguments_are_refused_before_anything_is_requested_or_run() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let touch = format!("touch {}", test.home.path().join("ran").display());
    for (args, code, word) in [
        ("", 2, "no command"),
        ("--", 2, "no command"),
        ("-- ''", 2, "the name of the command is empty"),
        ("true", 2, "an argument too many"),
        ("--audiences x -- TOUCH", 2, "--audiences applies to ID tokens"),
        ("--id-token --audiences '' -- TOUCH", 2, "--audiences is empty"),
        ("--id-token --audiences 'a b' -- TOUCH", 2, "contains a space"),
        ("--id-token --audiences x --scopes email -- TOUCH", 2, "--scopes and --id-token"),
        ("--id-token --audiences x --lifetime 10m -- TOUCH", 2, "--lifetime and --id-token"),
        ("--env '' -- TOUCH", 2, "--env is empty"),
        ("--env 1A -- TOUCH", 2, "letters, digits"),
        ("--env A=B -- TOUCH", 2, "letters, digits"),
        ("--env PATH -- TOUCH", 2, "has a meaning for the system"),
        ("--env ld_preload -- TOUCH", 2, "has a meaning for the system"),
        ("--env $'A\\xff' -- TOUCH", 2, "not valid UTF-8"),
        ("--token-file /tmp/token -- TOUCH", 9, "every user may write"),
        ("--token-file / -- TOUCH", 2, "does not name a file"),
        ("--token-file ~/no/token -- TOUCH", 2, "the folder"),
        ("--token-file ~/mine -- TOUCH", 9, "something other than a token"),
        ("--token-file ~ -- TOUCH", 9, "every user may write"),
        ("--env ya29.abcdefgh -- TOUCH", 9, "looks like a secret"),
    ] {
        let script = format!("umask 077; echo 'set -o vi' > ~/mine; gauth exec {}", args.replace("TOUCH", &touch));
        let result = run_shell(&test, &script);
        assert_eq!((result.exit_code, result.stdout.as_str()), (code, ""), "{args}: {result:?}");
        assert!(result.error_and_hint().0.contains(word), "{args}: {result:?}");
    }
    assert_eq!(test.sandbox.request_count("token"), 0);
    assert_eq!(std::fs::read_to_string(test.home.path().join("mine")).unwrap(), "set -o vi\n");
    assert!(!test.home.path().join("ran").exists());
}

#[test]
fn without_a_token_the_program_does_not_run() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["token=revoked"]);
    for flag in ["", "--token-file auto"] {
        let result = run_shell(&test, &format!("gauth exec {flag} -- touch ~/ran"));
        assert_eq!((result.exit_code, result.stdout.as_str()), (5, ""), "{result:?}");
        result.error_and_hint();
    }
    assert!(!test.home.path().join("ran").exists());
    assert_eq!(file_names(&test.config_folder().join("exec")), [""; 0]);
}

#[test]
fn the_exit_status_of_the_program_is_returned() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        for (command, code, word) in [
            ("true", 0, None),
            ("false", 1, None),
            ("sh -c 'exit 42'", 42, None),
            ("sh -c 'exit 255'", 255, None),
            ("sh -c 'kill -TERM $$'", 143, None),
            ("sh -c 'kill -KILL $$'", 137, None),
            ("no-such-program", 127, Some("no-such-program: no such program")),
            ("./no-such-program", 127, Some("no such program")),
            ("/dev/null", 126, Some("/dev/null: cannot be run, permission denied")),
            ("/", 126, Some("cannot be run")),
            ("~/script", 126, Some("its interpreter is missing")),
        ] {
            let script =
                format!("printf '#!/no/such\\n' > ~/script; chmod 700 ~/script; gauth exec {flag} -- {command}");
            let result = run_shell(&test, &script);
            assert_eq!((result.exit_code, result.stdout.as_str()), (code, ""), "{flag} {command}: {result:?}");
            match word {
                Some(word) => assert!(result.error_and_hint().0.contains(word), "{result:?}"),
                None => assert_eq!(result.stderr, "", "{flag} {command}"),
            }
        }
    }
    assert_eq!(file_names(&test.config_folder().join("exec")), [""; 0]);
}

#[test]
fn streams_arguments_and_folder_are_passed_to_the_program() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        let script = format!(
            "cd /tmp; echo input | gauth exec {flag} -- sh -c 'cat; echo \"$0|$1|$2\"; pwd; echo err >&2' 'a b' '' '--env'"
        );
        let result = run_shell(&test, &script);
        assert_eq!((result.exit_code, result.stderr.as_str()), (0, "err\n"), "{result:?}");
        assert_eq!(result.stdout, "input\na b||--env\n/tmp\n");
    }
}

#[test]
fn without_a_token_file_the_program_replaces_gauth() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let script = "gauth token > /dev/null; echo $$; exec gauth exec -- sh -c 'echo $$; cat /proc/$$/comm'";
    let result = run_shell(&test, script);
    let [before, after, "sh"] = output_lines(&result)[..] else { panic!("{result:?}") };
    assert_eq!(before, after);
    let script = "exec gauth exec --token-file auto -- sh -c 'cat /proc/$PPID/comm'";
    assert_eq!(output_lines(&run_shell(&test, script)), ["gauth"]);
}

#[test]
fn limits_that_gauth_sets_for_itself_do_not_apply_to_the_program() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        let script = format!(
            "ulimit -Sc $(ulimit -Hc); ulimit -c; gauth exec {flag} -- bash -c 'ulimit -c'; \
             grep SigIgn /proc/self/status | tail -c 8; gauth exec {flag} -- grep SigIgn /proc/self/status | tail -c 8; \
             id -u; gauth exec {flag} -- sh -c 'stat -c %u /proc/self/mem'"
        );
        let result = run_shell(&test, &script);
        let lines = output_lines(&result);
        for pair in lines.chunks(2) {
            assert_eq!(pair[0], pair[1], "{flag}: {lines:?}");
        }
    }
}

#[test]
fn only_the_program_has_the_token_and_no_other_secret() {
    let _shared = share_machine();
    for kind in CREDENTIAL_KINDS.into_iter().filter(|kind| *kind != CredentialKind::Gdch) {
        let test = SandboxHome::with_latency(&[], Duration::from_millis(60));
        let mut secrets = test.secrets();
        let args =
            ["exec", "--", "sh", "-c", "sleep 0.1; cat /proc/[0-9]*/cmdline; echo; echo $GOOGLE_OAUTH_ACCESS_TOKEN"];
        let (result, seen) = run_watched(test.gauth_command(kind, &args));
        let (arguments, token) = result.stdout.trim_end().rsplit_once('\n').unwrap();
        assert!(arguments.contains("sleep 0.1") && token.len() > 20, "{result:?}");
        assert_eq!(find_leaked_secret(arguments.as_bytes(), &[token.to_owned()]), None, "{kind:?}");
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
        assert!(find_leaked_secret(&seen, &[token.to_owned()]).is_some(), "the watch saw nothing");
        secrets.push(token.to_owned());
        // With a token file, the token is not in the environment.
        let args =
            ["exec", "--token-file", "auto", "--", "sh", "-c", "sleep 0.1; cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"];
        let (result, seen) = run_watched(test.gauth_command(kind, &args));
        assert_eq!(result.stdout, token, "{result:?}");
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
    }
}

#[test]
fn variables_that_would_take_precedence_are_removed_for_the_program() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let script = "export GAUTH_CREDENTIALS=\"$(cat \"$GOOGLE_APPLICATION_CREDENTIALS\")\"; \
        gauth exec -- sh -c 'echo ${GAUTH_CREDENTIALS-none}'; \
        GAUTH_CREDENTIALS=$(base64 -w0 \"$GOOGLE_APPLICATION_CREDENTIALS\") \
            gauth exec -- sh -c 'echo ${GAUTH_CREDENTIALS-none}'; \
        unset GAUTH_CREDENTIALS; GAUTH_SCOPES=email CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT=deployer@sandbox-project.iam.gserviceaccount.com \
            gauth exec -- sh -c 'echo ${GAUTH_SCOPES-none}${CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT-unset}'; \
        echo ya29.mine > ~/mine; CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=~/mine \
            gauth exec -- sh -c 'echo ${CLOUDSDK_AUTH_ACCESS_TOKEN_FILE-none}$GOOGLE_OAUTH_ACCESS_TOKEN'; \
        CLOUDSDK_AUTH_ACCESS_TOKEN=ya29.mine \
            gauth exec --token-file auto -- sh -c 'echo ${CLOUDSDK_AUTH_ACCESS_TOKEN-none}'";
    assert_eq!(output_lines(&run_shell(&test, script)), ["none", "none", "none", "noneya29.mine", "none"]);
}

#[test]
fn gauth_inside_gauth_finds_the_same_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        let script = format!(
            "gauth token --scopes email; GAUTH_SCOPES=email gauth exec {flag} -- gauth token; \
             gauth exec {flag} --scopes email -- gauth exec -- printenv GOOGLE_OAUTH_ACCESS_TOKEN"
        );
        let result = run_shell(&test, &script);
        let lines = output_lines(&result);
        assert!(lines.len() == 3 && lines.iter().all(|line| *line == lines[0]), "{lines:?}");
    }
}

#[test]
fn a_token_file_is_private_complete_and_removed_at_the_end() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let token = run_shell(&test, "gauth token").printed_token();
    for path in ["auto", "~/token", "token"] {
        for before in ["", "umask 0; install -m 600 /dev/null ~/token; "] {
            let script = format!(
                "chmod 700 ~; cd ~; {before}gauth exec --token-file {path} -- sh -c 'cd /; \
                 f=$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; stat -c \"%a %s %F\" $f; cat $f; echo; echo $f; \
                 stat -c %a $(dirname $f)'"
            );
            let result = run_shell(&test, &script);
            let [about, content, file, folder] = output_lines(&result)[..] else { panic!("{result:?}") };
            assert_eq!(about, format!("600 {} regular file", token.len()), "{path}");
            assert_eq!((content, folder), (token.as_str(), "700"));
            assert!(Path::new(file).is_absolute() && !Path::new(file).exists(), "{file}");
            std::fs::remove_file(test.home.path().join("token")).ok();
        }
    }
    assert_eq!(file_names(&test.config_folder().join("exec")), [""; 0]);
}

#[test]
fn a_token_file_is_renewed_while_the_program_runs() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["token=short-expiry"]);
    let script = "gauth exec --token-file auto -- sh -c 'for i in $(seq 45); do \
        cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; echo; stat -c %a $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; sleep 0.1; done'";
    let result = run_shell(&test, script);
    let lines = output_lines(&result);
    let tokens: Vec<&str> = lines.iter().copied().step_by(2).collect();
    assert_eq!(tokens.len(), 45);
    assert!(tokens.iter().all(|token| token.starts_with("ya29.")), "{tokens:?}");
    assert!(lines.iter().skip(1).step_by(2).all(|mode| *mode == "600"), "{lines:?}");
    let mut different = tokens.clone();
    different.dedup();
    // Each token is valid for 2 s and renewed after 1 s.
    assert!((3..=8).contains(&different.len()), "{different:?}");
    let longest = tokens.chunk_by(|a, b| a == b).map(<[&str]>::len).max();
    assert!(longest < Some(20), "{longest:?}");
}

#[test]
fn the_source_token_of_an_impersonation_is_renewed_too() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["token=short-expiry", "iam=short-expiry"]);
    for args in ["", "--no-cache"] {
        let before = test.sandbox.request_count("token");
        let script = format!(
            "gauth exec {args} --token-file auto --impersonate-service-account {DEPLOYER_ACCOUNT} -- sleep 3.5"
        );
        let result = run_shell(&test, &script);
        assert_eq!((result.exit_code, result.stderr.as_str()), (0, ""));
        let requests = test.sandbox.request_count("token") - before;
        assert!((2..=6).contains(&requests), "{args}: {requests} requests for the source token");
    }
}

#[test]
fn a_failed_renewal_is_reported_and_retried() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["token=short-expiryx1", "token=revokedx1", "token=short-expiryx1"]);
    let script = "gauth exec --token-file auto -- sh -c 'for i in $(seq 60); do \
        cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; echo; sleep 0.1; done'";
    let result = run_shell(&test, script);
    assert_eq!(result.exit_code, 0, "{result:?}");
    assert!(result.stderr.starts_with("gauth: warning: the token file could not be renewed: "), "{result:?}");
    let mut tokens: Vec<&str> = result.stdout.lines().collect();
    assert_eq!(tokens.len(), 60);
    tokens.dedup();
    assert!(tokens.len() >= 2, "{result:?}");
}

#[test]
fn a_signal_ends_the_program_and_the_file_is_removed() {
    let _shared = share_machine();
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2), (Signal::HUP, 1)] {
        for (trap, code) in [("exit 33", 33), ("trap - TERM INT HUP; kill -$s $$", 128 + number)] {
            let test = SandboxHome::new(&[]);
            let script =
                format!("s={number}; trap '{trap}' TERM INT HUP; echo up > ~/up; while :; do sleep 0.05; done");
            let args = ["exec", "--token-file", "auto", "--", "sh", "-c", &script];
            let mut command = test.gauth_command(CredentialKind::ServiceAccount, &args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let start = Instant::now();
            let child = command.spawn().unwrap();
            while !test.home.path().join("up").exists() {
                assert!(start.elapsed() < Duration::from_secs(30), "the program did not start");
                std::thread::sleep(Duration::from_millis(5));
            }
            let folder = test.config_folder().join("exec");
            let [file] = &file_names(&folder)[..] else { panic!("{:?}", file_names(&folder)) };
            assert_eq!(folder.join(file).metadata().unwrap().mode() & 0o777, 0o600);
            kill_process(pid(&child), signal).unwrap();
            assert_eq!(wait_for(child, start).exit_code, code, "{signal:?} {trap}");
            assert_eq!(file_names(&folder), [""; 0], "{signal:?} {trap}");
        }
    }
}

#[test]
fn leftovers_of_a_killed_run_are_removed() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let script = "gauth exec --token-file auto -- sh -c 'kill -KILL $PPID'; \
        for f in ~/.config/gauth/exec/*; do touch -d '3 days ago' $f; done; ls ~/.config/gauth/exec | wc -l; \
        gauth exec --token-file auto -- sh -c 'ls ~/.config/gauth/exec | wc -l'; ls ~/.config/gauth/exec | wc -l";
    let result = run_shell(&test, script);
    assert_eq!(result.stdout.split_whitespace().collect::<Vec<_>>(), ["1", "1", "0"], "{result:?}");
}
