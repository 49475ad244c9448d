//! Standard streams that are full or closed, and other unusual environments.

use std::time::Duration;

use super::{CredentialKind, ProcessResult, SandboxHome, file_names, for_each_parallel, run, share_machine};

fn run_shell(test: &SandboxHome, script: &str) -> ProcessResult {
    run(test.shell_command(CredentialKind::ServiceAccount, script))
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for args in
        ["token", "token --format json", "status", "cache list", "man", "--help", "--version", "completions bash"]
    {
        let result = run_shell(&test, &format!("gauth {args} > /dev/full"));
        assert_eq!(result.exit_code, 1, "{args}: {result:?}");
        let (message, _) = result.error_and_hint();
        assert_eq!(message, "standard output cannot be written, no space left on device");
        assert_eq!(result.stderr.lines().count(), 2, "{result:?}");
    }
}

#[test]
fn a_closed_pipe_is_not_reported() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for args in ["token", "token --format json", "status", "man", "--help"] {
        for ignoring in ["", "trap '' PIPE;"] {
            // The reader closes the pipe before the first byte.
            let script = format!("{ignoring} mkfifo p; exec 3<>p 4>p 3<&-; gauth {args} >&4; echo $? >&2; rm p");
            let mut command = test.shell_command(CredentialKind::ServiceAccount, &script);
            command.current_dir(test.home.path());
            let result = run(command);
            assert_eq!(result.stderr, "141\n", "{args} {ignoring}");
        }
    }
}

#[test]
fn an_unwritable_standard_error_changes_nothing() {
    let _shared = share_machine();
    let mut cells = Vec::new();
    for (fault, code) in [(None, 0), (Some("token=revoked"), 5), (Some("token=hang"), 6)] {
        for redirect in ["2> /dev/full", "2>&-", "2> /dev/null"] {
            cells.extend(["", "-vv"].map(|verbose| (fault, code, redirect, verbose)));
        }
    }
    for_each_parallel(&cells, 8, |(fault, code, redirect, verbose)| {
        let test = SandboxHome::new(&fault.iter().copied().collect::<Vec<_>>());
        let result = run_shell(&test, &format!("gauth token --timeout 1s {verbose} {redirect}"));
        assert_eq!(result.exit_code, *code, "{fault:?} {redirect} {verbose}: {result:?}");
        result.assert_output_whole();
    });
}

#[test]
fn with_all_streams_closed_no_file_is_overwritten() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let result =
        run_shell(&test, "gauth token <&- >&- 2>&-; code=$?; cat ~/.config/gauth/tokens/* | head -c 6; exit $code");
    // Files must not be opened as descriptors 0 to 2. Rust's runtime opens /dev/null there, and writing to it succeeds.
    assert_eq!((result.exit_code, result.stdout.as_str()), (0, "gauth2"), "{result:?}");
    assert!(run_shell(&test, "gauth token <&- 2>&-").exit_code == 0);
}

#[test]
fn few_descriptors_or_no_file_size_give_a_token_or_an_error() {
    let _shared = share_machine();
    for count in 3..16 {
        let test = SandboxHome::new(&[]);
        let result = run_shell(&test, &format!("ulimit -n {count}; exec gauth token --timeout 2s"));
        // With fewer descriptors the dynamic loader cannot open the libraries.
        if result.exit_code == 127 {
            assert!(count < 5, "{result:?}");
            continue;
        }
        assert!((0..=9).contains(&result.exit_code), "{count}: {result:?}");
        result.assert_output_whole();
        assert!(result.exit_code == 0 || count < 10, "{count}: {result:?}");
    }
    let test = SandboxHome::new(&[]);
    let result = run_shell(&test, "ulimit -f 0; gauth token -v | cat; exit ${PIPESTATUS[0]}");
    result.printed_token();
    assert!(result.stderr.contains("the token is not cached, file too large"), "{result:?}");
    assert_eq!(file_names(&test.token_cache_folder()), [""; 0]);
}

#[test]
fn a_deleted_working_directory_does_not_matter() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let script = "mkdir gone; cd gone; rmdir ../gone; exec gauth token";
    let mut command = test.shell_command(CredentialKind::ServiceAccount, script);
    command.current_dir(test.home.path());
    run(command).printed_token();
}

#[test]
fn a_credential_is_read_from_any_pipe() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let key = test.sandbox.service_account_file().display().to_string();
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
        let mut command = test.shell_command(CredentialKind::ServiceAccount, &script.replace("KEY", &key));
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
        let result = run_shell(&test, script);
        assert_eq!(result.exit_code, code, "{script}: {result:?}");
        result.assert_output_whole();
        result.error_and_hint();
        assert!(result.duration < Duration::from_secs(12), "{result:?}");
    }
}

#[test]
fn neither_locale_nor_time_zone_changes_anything() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let token = run_shell(&test, "gauth token").printed_token();
    for surroundings in ["LC_ALL=tr_TR.UTF-8", "LC_ALL=C TZ=Pacific/Kiritimati", "LANG=ar_EG TZ=:/nowhere"] {
        assert_eq!(run_shell(&test, &format!("{surroundings} gauth token")).printed_token(), token);
        let script = format!("{surroundings} gauth token --format json --credentials /nowhere");
        let plain = run_shell(&test, "gauth token --format json --credentials /nowhere").stderr;
        assert_eq!(run_shell(&test, &script).stderr, plain);
    }
}

#[test]
fn colour_is_used_on_terminals_or_when_forced() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for (surroundings, coloured) in [
        ("", false),
        ("CLICOLOR_FORCE=1", true),
        ("CLICOLOR_FORCE=0", false),
        ("NO_COLOR=1 CLICOLOR_FORCE=1", false),
        ("TERM=dumb CLICOLOR_FORCE=1", false),
    ] {
        for args in ["token --credentials /nowhere", "status", "--help"] {
            let result = run_shell(&test, &format!("{surroundings} gauth {args}"));
            let text = result.stdout + &result.stderr;
            assert_eq!(text.contains('\u{1b}'), coloured, "{surroundings} {args}: {text:?}");
        }
        assert!(!run_shell(&test, &format!("{surroundings} gauth token")).stdout.contains('\u{1b}'));
    }
}
