//! `gauth exec`: what the program is given, what it gives back, and what is left.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use gauth_sandbox::fixtures::DEPLOYER_ACCOUNT;

use super::secret_exposure::run_watched;
use super::{
    CREDENTIAL_KINDS, CredentialKind, ProcessResult, SandboxHome, file_names, find_leaked_secret,
    pid, run, share_machine, wait_for,
};

fn run_shell(stage: &SandboxHome, script: &str) -> ProcessResult {
    run(stage.shell_command(CredentialKind::ServiceAccount, script))
}

/// The lines of a run that succeeded and said nothing.
#[track_caller]
fn output_lines(ended: &ProcessResult) -> Vec<&str> {
    assert_eq!((ended.exit_code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    ended.stdout.lines().collect()
}

#[test]
fn the_program_finds_the_token_that_would_be_printed() {
    let _beside = share_machine();
    for kind in CREDENTIAL_KINDS.into_iter().filter(|kind| *kind != CredentialKind::Gdch) {
        let stage = SandboxHome::new(&[]);
        let token = run(stage.gauth_command(kind, &["token"])).printed_token();
        let script = "gauth exec -- printenv CLOUDSDK_AUTH_ACCESS_TOKEN GOOGLE_OAUTH_ACCESS_TOKEN; \
                      gauth exec --env MINE --env _2 -- sh -c 'echo $MINE; echo $_2; \
                      echo ${CLOUDSDK_AUTH_ACCESS_TOKEN-none}'";
        let ended = run(stage.shell_command(kind, script));
        assert_eq!(output_lines(&ended), [&token, &token, &token, &token, "none"], "{kind:?}");
    }
}

#[test]
fn the_flags_are_those_of_the_token_command() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for flags in ["--scopes email", "--subject ada@example.com", "--refresh", "--min-ttl 1h"] {
        let script = format!("gauth exec {flags} -- printenv GOOGLE_OAUTH_ACCESS_TOKEN");
        let ended = run_shell(&stage, &script);
        match flags {
            // A new token lives an hour, less what has gone since.
            "--min-ttl 1h" => assert_eq!(ended.exit_code, 7, "{ended:?}"),
            "--refresh" => {
                assert_ne!(ended.printed_token(), run_shell(&stage, &script).printed_token())
            }
            _ => {
                let plain = run_shell(&stage, &format!("gauth token {flags}")).printed_token();
                assert_eq!(ended.printed_token(), plain, "{flags}");
            }
        }
    }
}

#[test]
fn an_id_token_has_a_variable_of_its_own() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let token = run_shell(&stage, "gauth id-token --audiences https://svc.example").printed_token();
    for flags in
        ["--id-token --audiences https://svc.example", "--audience https://svc.example --id-token"]
    {
        let script = format!("gauth exec {flags} -- printenv GAUTH_ID_TOKEN");
        assert_eq!(run_shell(&stage, &script).printed_token(), token);
        let script = format!(
            "gauth exec {flags} -- sh -c 'echo ${{CLOUDSDK_AUTH_ACCESS_TOKEN-none}}${{GOOGLE_OAUTH_ACCESS_TOKEN-none}}'"
        );
        assert_eq!(output_lines(&run_shell(&stage, &script)), ["nonenone"]);
        let script = format!(
            "gauth exec {flags} --token-file auto -- sh -c 'cat $GAUTH_ID_TOKEN_FILE; echo'"
        );
        assert_eq!(run_shell(&stage, &script).printed_token(), token);
    }
}

#[test]
fn invalid_arguments_are_refused_before_anything_is_requested_or_run() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let touch = format!("touch {}", stage.home.path().join("ran").display());
    for (words, code, word) in [
        ("", 2, "no command"),
        ("--", 2, "no command"),
        ("-- ''", 2, "an empty word"),
        ("true", 2, "a word too many"),
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
        ("--token-file /tmp/token -- TOUCH", 9, "everybody may write"),
        ("--token-file / -- TOUCH", 2, "names no file"),
        ("--token-file ~/no/token -- TOUCH", 2, "the folder"),
        ("--token-file ~/mine -- TOUCH", 9, "something else than a token"),
        ("--token-file ~ -- TOUCH", 9, "everybody may write"),
        ("--env ya29.abcdefgh -- TOUCH", 9, "looks like a secret"),
    ] {
        let script = format!(
            "umask 077; echo 'set -o vi' > ~/mine; gauth exec {}",
            words.replace("TOUCH", &touch)
        );
        let ended = run_shell(&stage, &script);
        assert_eq!((ended.exit_code, ended.stdout.as_str()), (code, ""), "{words}: {ended:?}");
        assert!(ended.error_and_hint().0.contains(word), "{words}: {ended:?}");
    }
    assert_eq!(stage.sandbox.request_count("token"), 0);
    assert_eq!(std::fs::read_to_string(stage.home.path().join("mine")).unwrap(), "set -o vi\n");
    assert!(!stage.home.path().join("ran").exists());
}

#[test]
fn without_a_token_the_program_does_not_run() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["token=revoked"]);
    for flag in ["", "--token-file auto"] {
        let ended = run_shell(&stage, &format!("gauth exec {flag} -- touch ~/ran"));
        assert_eq!((ended.exit_code, ended.stdout.as_str()), (5, ""), "{ended:?}");
        ended.error_and_hint();
    }
    assert!(!stage.home.path().join("ran").exists());
    assert_eq!(file_names(&stage.config_folder().join("exec")), [""; 0]);
}

#[test]
fn the_exit_status_is_the_programs() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
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
            let script = format!(
                "printf '#!/no/such\\n' > ~/script; chmod 700 ~/script; gauth exec {flag} -- {command}"
            );
            let ended = run_shell(&stage, &script);
            assert_eq!(
                (ended.exit_code, ended.stdout.as_str()),
                (code, ""),
                "{flag} {command}: {ended:?}"
            );
            match word {
                Some(word) => assert!(ended.error_and_hint().0.contains(word), "{ended:?}"),
                None => assert_eq!(ended.stderr, "", "{flag} {command}"),
            }
        }
    }
    assert_eq!(file_names(&stage.config_folder().join("exec")), [""; 0]);
}

#[test]
fn streams_arguments_and_folder_are_passed_to_the_program() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        let script = format!(
            "cd /tmp; echo input | gauth exec {flag} -- sh -c 'cat; echo \"$0|$1|$2\"; pwd; echo err >&2' 'a b' '' '--env'"
        );
        let ended = run_shell(&stage, &script);
        assert_eq!((ended.exit_code, ended.stderr.as_str()), (0, "err\n"), "{ended:?}");
        assert_eq!(ended.stdout, "input\na b||--env\n/tmp\n");
    }
}

#[test]
fn plain_exec_becomes_the_program() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let script =
        "gauth token > /dev/null; echo $$; exec gauth exec -- sh -c 'echo $$; cat /proc/$$/comm'";
    let ended = run_shell(&stage, script);
    let [before, after, "sh"] = output_lines(&ended)[..] else { panic!("{ended:?}") };
    assert_eq!(before, after);
    let script = "exec gauth exec --token-file auto -- sh -c 'cat /proc/$PPID/comm'";
    assert_eq!(output_lines(&run_shell(&stage, script)), ["gauth"]);
}

#[test]
fn what_gauth_restricts_for_itself_is_not_restricted_for_the_program() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        let script = format!(
            "ulimit -Sc $(ulimit -Hc); ulimit -c; gauth exec {flag} -- bash -c 'ulimit -c'; \
             grep SigIgn /proc/self/status | tail -c 8; gauth exec {flag} -- grep SigIgn /proc/self/status | tail -c 8; \
             id -u; gauth exec {flag} -- sh -c 'stat -c %u /proc/self/mem'"
        );
        let ended = run_shell(&stage, &script);
        let lines = output_lines(&ended);
        for pair in lines.chunks(2) {
            assert_eq!(pair[0], pair[1], "{flag}: {lines:?}");
        }
    }
}

#[test]
fn only_the_program_sees_the_token_and_nobody_sees_more() {
    let _beside = share_machine();
    for kind in CREDENTIAL_KINDS.into_iter().filter(|kind| *kind != CredentialKind::Gdch) {
        let stage = SandboxHome::with_latency(&[], Duration::from_millis(60));
        let mut secrets = stage.secrets();
        let words = [
            "exec",
            "--",
            "sh",
            "-c",
            "sleep 0.1; cat /proc/[0-9]*/cmdline; echo; echo $GOOGLE_OAUTH_ACCESS_TOKEN",
        ];
        let (ended, seen) = run_watched(stage.gauth_command(kind, &words));
        let (arguments, token) = ended.stdout.trim_end().rsplit_once('\n').unwrap();
        assert!(arguments.contains("sleep 0.1") && token.len() > 20, "{ended:?}");
        assert_eq!(find_leaked_secret(arguments.as_bytes(), &[token.to_owned()]), None, "{kind:?}");
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
        assert!(find_leaked_secret(&seen, &[token.to_owned()]).is_some(), "the watch saw nothing");
        secrets.push(token.to_owned());
        // A file is not even in the environment.
        let words = [
            "exec",
            "--token-file",
            "auto",
            "--",
            "sh",
            "-c",
            "sleep 0.1; cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        ];
        let (ended, seen) = run_watched(stage.gauth_command(kind, &words));
        assert_eq!(ended.stdout, token, "{ended:?}");
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
    }
}

#[test]
fn variables_that_would_take_precedence_are_removed_for_the_program() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
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
    assert_eq!(
        output_lines(&run_shell(&stage, script)),
        ["none", "none", "none", "noneya29.mine", "none"]
    );
}

#[test]
fn gauth_inside_gauth_finds_the_same_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for flag in ["", "--token-file auto"] {
        let script = format!(
            "gauth token --scopes email; GAUTH_SCOPES=email gauth exec {flag} -- gauth token; \
             gauth exec {flag} --scopes email -- gauth exec -- printenv GOOGLE_OAUTH_ACCESS_TOKEN"
        );
        let ended = run_shell(&stage, &script);
        let lines = output_lines(&ended);
        assert!(lines.len() == 3 && lines.iter().all(|line| *line == lines[0]), "{lines:?}");
    }
}

#[test]
fn a_token_file_is_private_whole_and_gone_at_the_end() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let token = run_shell(&stage, "gauth token").printed_token();
    for path in ["auto", "~/token", "token"] {
        for before in ["", "umask 0; install -m 600 /dev/null ~/token; "] {
            let script = format!(
                "chmod 700 ~; cd ~; {before}gauth exec --token-file {path} -- sh -c 'cd /; \
                 f=$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; stat -c \"%a %s %F\" $f; cat $f; echo; echo $f; \
                 stat -c %a $(dirname $f)'"
            );
            let ended = run_shell(&stage, &script);
            let [about, content, file, folder] = output_lines(&ended)[..] else {
                panic!("{ended:?}")
            };
            assert_eq!(about, format!("600 {} regular file", token.len()), "{path}");
            assert_eq!((content, folder), (token.as_str(), "700"));
            assert!(Path::new(file).is_absolute() && !Path::new(file).exists(), "{file}");
            std::fs::remove_file(stage.home.path().join("token")).ok();
        }
    }
    assert_eq!(file_names(&stage.config_folder().join("exec")), [""; 0]);
}

#[test]
fn a_token_file_is_fresh_as_long_as_the_program_runs() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["token=short-expiry"]);
    let script = "gauth exec --token-file auto -- sh -c 'for i in $(seq 45); do \
        cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; echo; stat -c %a $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; sleep 0.1; done'";
    let ended = run_shell(&stage, script);
    let lines = output_lines(&ended);
    let tokens: Vec<&str> = lines.iter().copied().step_by(2).collect();
    assert_eq!(tokens.len(), 45);
    assert!(tokens.iter().all(|token| token.starts_with("ya29.")), "{tokens:?}");
    assert!(lines.iter().skip(1).step_by(2).all(|mode| *mode == "600"), "{lines:?}");
    let mut different = tokens.clone();
    different.dedup();
    // Each lives 2 s and is renewed after 1 s; none is used for longer than it lives.
    assert!((3..=8).contains(&different.len()), "{different:?}");
    let longest = tokens.chunk_by(|a, b| a == b).map(<[&str]>::len).max();
    assert!(longest < Some(20), "{longest:?}");
}

#[test]
fn the_source_of_a_chain_is_renewed_with_the_rest() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["token=short-expiry", "iam=short-expiry"]);
    for words in ["", "--no-cache"] {
        let before = stage.sandbox.request_count("token");
        let script = format!(
            "gauth exec {words} --token-file auto --impersonate-service-account {DEPLOYER_ACCOUNT} -- sleep 3.5"
        );
        let ended = run_shell(&stage, &script);
        assert_eq!((ended.exit_code, ended.stderr.as_str()), (0, ""));
        let asked = stage.sandbox.request_count("token") - before;
        assert!((2..=6).contains(&asked), "{words}: the source was asked {asked} times");
    }
}

#[test]
fn a_renewal_that_fails_is_said_and_tried_again() {
    let _beside = share_machine();
    let stage =
        SandboxHome::new(&["token=short-expiryx1", "token=revokedx1", "token=short-expiryx1"]);
    let script = "gauth exec --token-file auto -- sh -c 'for i in $(seq 60); do \
        cat $CLOUDSDK_AUTH_ACCESS_TOKEN_FILE; echo; sleep 0.1; done'";
    let ended = run_shell(&stage, script);
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert!(
        ended.stderr.starts_with("gauth: warning: the token file could not be renewed: "),
        "{ended:?}"
    );
    let mut tokens: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(tokens.len(), 60);
    tokens.dedup();
    assert!(tokens.len() >= 2, "{ended:?}");
}

#[test]
fn a_signal_reaches_the_program_and_the_file_goes() {
    let _beside = share_machine();
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2), (Signal::HUP, 1)] {
        for (trap, code) in [("exit 33", 33), ("trap - TERM INT HUP; kill -$s $$", 128 + number)] {
            let stage = SandboxHome::new(&[]);
            let script = format!(
                "s={number}; trap '{trap}' TERM INT HUP; echo up > ~/up; while :; do sleep 0.05; done"
            );
            let words = ["exec", "--token-file", "auto", "--", "sh", "-c", &script];
            let mut command = stage.gauth_command(CredentialKind::ServiceAccount, &words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let start = Instant::now();
            let child = command.spawn().unwrap();
            while !stage.home.path().join("up").exists() {
                assert!(start.elapsed() < Duration::from_secs(30), "the program did not start");
                std::thread::sleep(Duration::from_millis(5));
            }
            let folder = stage.config_folder().join("exec");
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
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let script = "gauth exec --token-file auto -- sh -c 'kill -KILL $PPID'; \
        for f in ~/.config/gauth/exec/*; do touch -d '3 days ago' $f; done; ls ~/.config/gauth/exec | wc -l; \
        gauth exec --token-file auto -- sh -c 'ls ~/.config/gauth/exec | wc -l'; ls ~/.config/gauth/exec | wc -l";
    let ended = run_shell(&stage, script);
    assert_eq!(ended.stdout.split_whitespace().collect::<Vec<_>>(), ["1", "1", "0"], "{ended:?}");
}
