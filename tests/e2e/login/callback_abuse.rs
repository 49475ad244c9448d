//! Requests of other programs to the loopback port, which must not end the login.

use std::io::Write;
use std::net::TcpStream;

use super::{SandboxHome, allow_consent, query_parameters, share_machine};
use crate::browser::{get_page, send_raw, split_url};

#[test]
fn unrelated_requests_to_the_callback_port_do_not_disturb_the_login() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "-v"]));
    let back = allow_consent(&login.authorization_url);
    let (host, target) = split_url(&back);
    let state = query_parameters(&login.authorization_url)["state"].clone();
    let port = host.rsplit(':').next().unwrap().to_owned();
    let get = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let forged = format!("/?error=access_denied&state={}", &state[1..]);
    let strangers = [
        get("/favicon.ico", &host),
        get("/", &host),
        get("/?code=4/x", &host),
        get(&format!("/?code=4/x&state={state}x"), &host),
        get(&format!("/?code=4/x&state={state}&state={state}"), &host),
        get(&format!("/?code=4/x&code=4/y&state={state}"), &host),
        get("/?error=access_denied", &host),
        get(&forged, &host),
        get(&format!("/elsewhere?code=4/x&state={state}"), &host),
        get(&format!("/?code=4/x&state={state}&iss=https://evil.example"), &host),
        get(&target, "evil.example"),
        get(&target, &format!("localhost:{port}")),
        get(&target, "127.0.0.1"),
        get(&target, &host).replacen("GET", "POST", 1),
        get(&target, &host).replacen("GET", "HEAD", 1),
        get(&target, &host).replacen("GET", "OPTIONS", 1),
        get(&target, &host).replacen("/?", "http://127.0.0.1/?", 1),
        format!("GET {target} HTTP/1.0\r\n\r\n"),
        "\u{16}\u{3}\u{1}\u{2}\u{0}TLS".to_owned(),
        "GET".to_owned() + &" ".repeat(20_000) + "\r\n\r\n",
        "\r\n\r\n\0\0\0\0".to_owned(),
    ];
    for stranger in &strangers {
        // A connection without a valid request stays open, and the next one is accepted meanwhile.
        let (begun, whole) = (stranger.as_bytes(), stranger.ends_with("\r\n\r\n"));
        match whole {
            true => {
                let answer = send_raw(&host, begun);
                let status = answer.split(' ').nth(1).unwrap_or_default();
                let refused = matches!(status, "404" | "400" | "431" | "405" | "");
                assert!(refused, "{stranger:?}: {answer:?}");
            }
            false => TcpStream::connect(&host).unwrap().write_all(begun).unwrap(),
        }
    }
    stage.assert_no_login();
    assert_eq!(get_page(&back).status, 200);
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert!(ended.stderr.contains("a request was ignored: another state"), "{}", ended.stderr);
}

#[test]
fn a_thousand_idle_connections_do_not_keep_the_browser_out() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser"]));
    let back = allow_consent(&login.authorization_url);
    let (host, target) = split_url(&back);
    let idle: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = TcpStream::connect(&host).unwrap();
            // Some connections send nothing, others an incomplete head. Those that are closed may get a response.
            if number % 2 == 0 {
                let _ = stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX: ").as_bytes());
            }
            stream
        })
        .collect();
    assert_eq!(get_page(&back).status, 200);
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert_eq!(idle.len(), 1000);
}

#[test]
fn the_port_is_closed_after_the_callback() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["token=slow"]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "--timeout", "3s"]));
    let back = allow_consent(&login.authorization_url);
    let (host, _) = split_url(&back);
    std::thread::scope(|scope| {
        let browser = scope.spawn(|| get_page(&back));
        // The code is being exchanged, and the browser waits for its page.
        let start = std::time::Instant::now();
        while TcpStream::connect(&host).is_ok() {
            assert!(start.elapsed().as_secs() < 20, "the port stays open");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let page = browser.join().unwrap();
        assert!(page.body.contains("Not signed in"), "{}", page.body);
    });
    assert_eq!(login.wait().exit_code, 6);
    stage.assert_no_login();
}
