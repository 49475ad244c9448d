//! Standard streams that are full, closed, or read by nobody; and other poor surroundings.

use std::time::Duration;

use super::{
    CredentialKind, ProcessResult, SandboxHome, file_names, for_each_parallel, run, share_machine,
};

fn run_shell(stage: &SandboxHome, script: &str) -> ProcessResult {
    run(stage.shell_command(CredentialKind::ServiceAccount, script))
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for words in [
        "token",
        "token --format json",
        "status",
        "cache list",
        "man",
        "--help",
        "--version",
        "completions bash",
    ] {
        let ended = run_shell(&stage, &format!("gauth {words} > /dev/full"));
        assert_eq!(ended.exit_code, 1, "{words}: {ended:?}");
        let (message, _) = ended.error_and_hint();
        assert_eq!(message, "standard output cannot be written, no space left on device");
        assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    }
}

#[test]
fn a_closed_pipe_is_not_reported() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for words in ["token", "token --format json", "status", "man", "--help"] {
        for ignoring in ["", "trap '' PIPE;"] {
            // The reader is gone before the first byte.
            let script = format!(
                "{ignoring} mkfifo p; exec 3<>p 4>p 3<&-; gauth {words} >&4; echo $? >&2; rm p"
            );
            let mut command = stage.shell_command(CredentialKind::ServiceAccount, &script);
            command.current_dir(stage.home.path());
            let ended = run(command);
            assert_eq!(ended.stderr, "141\n", "{words} {ignoring}");
        }
    }
}

#[test]
fn an_unwritable_standard_error_changes_nothing() {
    let _beside = share_machine();
    let mut cells = Vec::new();
    for (fault, code) in [(None, 0), (Some("token=revoked"), 5), (Some("token=hang"), 6)] {
        for redirect in ["2> /dev/full", "2>&-", "2> /dev/null"] {
            cells.extend(["", "-vv"].map(|verbose| (fault, code, redirect, verbose)));
        }
    }
    for_each_parallel(&cells, 8, |(fault, code, redirect, verbose)| {
        let stage = SandboxHome::new(&fault.iter().copied().collect::<Vec<_>>());
        let ended = run_shell(&stage, &format!("gauth token --timeout 1s {verbose} {redirect}"));
        assert_eq!(ended.exit_code, *code, "{fault:?} {redirect} {verbose}: {ended:?}");
        ended.assert_output_whole();
    });
}

#[test]
fn all_streams_closed_write_into_no_file() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let ended = run_shell(
        &stage,
        "gauth token <&- >&- 2>&-; code=$?; cat ~/.config/gauth/tokens/* | head -c 6; exit $code",
    );
    // What is opened next must not get the numbers 0 to 2. Rust's start puts /dev/null there, where writing succeeds.
    assert_eq!((ended.exit_code, ended.stdout.as_str()), (0, "gauth1"), "{ended:?}");
    assert!(run_shell(&stage, "gauth token <&- 2>&-").exit_code == 0);
}

#[test]
fn few_descriptors_or_no_file_size_give_a_token_or_an_error() {
    let _beside = share_machine();
    for count in 3..16 {
        let stage = SandboxHome::new(&[]);
        let ended = run_shell(&stage, &format!("ulimit -n {count}; exec gauth token --timeout 2s"));
        // With fewer the loader itself finds no library.
        if ended.exit_code == 127 {
            assert!(count < 5, "{ended:?}");
            continue;
        }
        assert!((0..=9).contains(&ended.exit_code), "{count}: {ended:?}");
        ended.assert_output_whole();
        assert!(ended.exit_code == 0 || count < 10, "{count}: {ended:?}");
    }
    let stage = SandboxHome::new(&[]);
    let ended = run_shell(&stage, "ulimit -f 0; gauth token -v | cat; exit ${PIPESTATUS[0]}");
    ended.printed_token();
    assert!(ended.stderr.contains("the token is not cached, file too large"), "{ended:?}");
    assert_eq!(file_names(&stage.token_cache_folder()), [""; 0]);
}

#[test]
fn a_folder_that_is_gone_is_not_missed() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let script = "mkdir gone; cd gone; rmdir ../gone; exec gauth token";
    let mut command = stage.shell_command(CredentialKind::ServiceAccount, script);
    command.current_dir(stage.home.path());
    run(command).printed_token();
}

#[test]
fn a_credential_comes_through_any_pipe() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let key = stage.sandbox.service_account_file().display().to_string();
    for script in [
        "gauth token --no-cache --credentials <(cat KEY)",
        "cat KEY | gauth token --no-cache --credentials -",
        "gauth token --no-cache --credentials - < KEY",
        "cat KEY | gauth token --no-cache --credentials /dev/stdin",
        "mkfifo ~/p; cat KEY > ~/p & gauth token --no-cache --credentials ~/p",
        "mkfifo ~/q; (sleep 0.3; cat KEY > ~/q) & gauth token --no-cache --credentials ~/q",
        "(head -c 100 KEY; sleep 0.3; tail -c +101 KEY) | gauth token --no-cache --credentials -",
        "exec 7< KEY; gauth token --no-cache --credentials /dev/fd/7",
        "GAUTH_CREDENTIALS=$(cat KEY) gauth token --no-cache",
        "GAUTH_CREDENTIALS=$(base64 KEY) gauth token --no-cache",
    ] {
        let mut command =
            stage.shell_command(CredentialKind::ServiceAccount, &script.replace("KEY", &key));
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        run(command).printed_token();
    }
    for (script, code) in [
        ("gauth token --credentials - <&-", 8),
        ("gauth token --credentials - < /dev/null", 8),
        ("gauth token --credentials /dev/zero", 8),
        ("gauth token --credentials - < /dev/zero", 8),
        ("gauth token --credentials <(cat /dev/zero)", 8),
        ("gauth token --credentials /", 8),
    ] {
        let ended = run_shell(&stage, script);
        assert_eq!(ended.exit_code, code, "{script}: {ended:?}");
        ended.assert_output_whole();
        ended.error_and_hint();
        assert!(ended.duration < Duration::from_secs(12), "{ended:?}");
    }
}

#[test]
fn neither_locale_nor_time_zone_changes_anything() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let token = run_shell(&stage, "gauth token").printed_token();
    for surroundings in
        ["LC_ALL=tr_TR.UTF-8", "LC_ALL=C TZ=Pacific/Kiritimati", "LANG=ar_EG TZ=:/nowhere"]
    {
        assert_eq!(
            run_shell(&stage, &format!("{surroundings} gauth token")).printed_token(),
            token
        );
        let script = format!("{surroundings} gauth token --format json --credentials /nowhere");
        let plain = run_shell(&stage, "gauth token --format json --credentials /nowhere").stderr;
        assert_eq!(run_shell(&stage, &script).stderr, plain);
    }
}

#[test]
fn colour_is_used_on_terminals_or_when_forced() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for (surroundings, coloured) in [
        ("", false),
        ("CLICOLOR_FORCE=1", true),
        ("CLICOLOR_FORCE=0", false),
        ("NO_COLOR=1 CLICOLOR_FORCE=1", false),
        ("TERM=dumb CLICOLOR_FORCE=1", false),
    ] {
        for words in ["token --credentials /nowhere", "status", "--help"] {
            let ended = run_shell(&stage, &format!("{surroundings} gauth {words}"));
            let text = ended.stdout + &ended.stderr;
            assert_eq!(text.contains('\u{1b}'), coloured, "{surroundings} {words}: {text:?}");
        }
        assert!(
            !run_shell(&stage, &format!("{surroundings} gauth token")).stdout.contains('\u{1b}')
        );
    }
}
