//! The output file: an earlier response in it is used, and a program may write its response there only.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    EXECUTABLE_SUBJECT_TOKEN, STALE_SUBJECT_TOKEN, default_script, executable_response, executable_test,
    printing_script, sts_success,
};
use crate::support::{Home, NOW};

#[test]
fn the_output_file_of_an_earlier_run_is_used_until_it_expires() {
    let kept = |file: Value| {
        executable_test("exit 3", json!({"output_file": "{home}/kept.json", "command": "/no/such/program"}), json!({}))
            .file("kept.json", file.to_string())
    };
    let ran = kept(executable_response(json!({}))).expect_request(sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN);
    for fields in [
        json!({"version": "1"}),
        json!({"version": null}),
        json!({"success": null}),
        json!({"success": false}),
        json!({"token_type": null}),
        json!({"id_token": null}),
        json!({"id_token": 5}),
        json!({"expiration_time": "soon"}),
    ] {
        kept(executable_response(fields))
            .expect_status(8)
            .expect_error("HOME/kept.json (output_file of HOME/key.json): is malformed, ")
            .expect_hint("remove HOME/kept.json")
            .run();
    }
}

#[test]
fn the_executable_runs_when_the_output_file_is_unusable() {
    let no = json!({"success": false, "code": "401", "message": "not you"});
    for left in [
        executable_response(json!({"expiration_time": NOW, "id_token": STALE_SUBJECT_TOKEN})).to_string(),
        executable_response(json!({"expiration_time": NOW - 3600, "id_token": STALE_SUBJECT_TOKEN})).to_string(),
        executable_response(json!({"expiration_time": null, "id_token": STALE_SUBJECT_TOKEN})).to_string(),
        executable_response(json!({"version": 2, "id_token": STALE_SUBJECT_TOKEN})).to_string(),
        executable_response(json!({"token_type": "access_token", "id_token": STALE_SUBJECT_TOKEN})).to_string(),
        executable_response(json!({
            "token_type": "urn:ietf:params:oauth:token-type:saml2",
            "saml_response": STALE_SUBJECT_TOKEN,
        }))
        .to_string(),
        executable_response(no).to_string(),
        String::new(),
        STALE_SUBJECT_TOKEN.to_owned(),
        "{\"version\":1,".to_owned(),
    ] {
        let ran = executable_test(&default_script(), json!({"output_file": "{home}/kept.json"}), json!({}))
            .file("kept.json", &left)
            .expect_request(sts_success())
            .run();
        assert_eq!(ran.requests[0].form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN, "{left}");
    }
    let began = Instant::now();
    for file in ["{home}/no/such/file", "{home}", "{home}/pipe", "/dev/zero", "/proc/self/mem"] {
        let pipe = |home: &Home| {
            Command::new("mkfifo").arg(home.path("pipe")).status().expect("mkfifo");
        };
        let test = executable_test(&default_script(), json!({"output_file": file}), json!({}));
        test.setup(pipe).expect_request(sts_success()).run();
    }
    // Nothing writes into the pipe: reading it would block.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_response_with_an_output_file_needs_an_expiration() {
    let answer = printing_script(&executable_response(json!({"expiration_time": null})));
    executable_test(&answer, json!({"output_file": "{home}/kept.json"}), json!({}))
        .expect_status(6)
        .expect_error("has no expiration_time, which output_file asks for")
        .run();
}

#[test]
fn a_program_may_write_its_response_to_the_output_file_only() {
    let answer = executable_response(json!({}));
    let script = format!("cat > \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\" <<'END'\n{answer}\nEND");
    let written = |script: &str| executable_test(script, json!({"output_file": "{home}/kept.json"}), json!({}));
    let ran = written(&script).expect_request(sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN);
    written(":").expect_status(6).expect_error("the response is empty").run();
    let stale = executable_response(json!({"expiration_time": NOW - 5, "id_token": STALE_SUBJECT_TOKEN}));
    written(":").file("kept.json", stale.to_string()).expect_status(6).expect_error("expired 5 s ago").run();
}
