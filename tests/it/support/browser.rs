//! A browser with a person in front of it, as far as the sandbox's pages need one: it visits, reads the form,
//! ticks and presses. It follows no redirect: the test looks at where it would lead.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A response to the browser.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Page {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Where it sends the browser.
    pub(crate) fn location(&self) -> &str {
        self.header("Location").unwrap_or_default()
    }

    /// A value of the query where it sends the browser.
    pub(crate) fn redirect_parameter(&self, name: &str) -> Option<String> {
        let query = self.location().split_once('?')?.1;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// The values of all inputs of this name, as the page shows them.
    pub(crate) fn input_values(&self, name: &str) -> Vec<String> {
        let attribute = format!(" name=\"{name}\"");
        let tags = self.body.split("<input").skip(1).filter_map(|rest| rest.split_once('>'));
        tags.filter(|(tag, _)| tag.contains(&attribute))
            .filter_map(|(tag, _)| Some(tag.split_once("value=\"")?.1.split_once('"')?.0.to_owned()))
            .collect()
    }
}

/// The host with the port, and the path with the query, of a loopback URL.
pub(crate) fn split_url(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    (host.to_owned(), format!("{slash}{path}"))
}

/// Sends these bytes and reads the whole response.
pub(crate) fn send_raw(host: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(host).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    stream.write_all(bytes).expect("a request");
    let mut answer = Vec::new();
    // A connection may be reset after the response.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request to a loopback address.
pub(crate) fn send_request(method: &str, url: &str, headers: &str, body: &str) -> Page {
    let (authority, target) = split_url(url);
    let length = body.len();
    let text = format!(
        "{method} {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    let all = send_raw(&authority, text.as_bytes());
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Page { status, head: head.to_owned(), body: body.to_owned() }
}

/// Follows a link.
pub(crate) fn get_page(url: &str) -> Page {
    send_request("GET", url, "", "")
}

/// What the person does with the form.
#[derive(Clone, Copy)]
pub(crate) struct ConsentChoice<'a> {
    /// The button: `allow` or `deny`.
    pub(crate) button: &'a str,
    /// Who they are, where they may say.
    pub(crate) account: Option<&'a str>,
    /// The scopes that stay ticked; `None`: all.
    pub(crate) scopes: Option<&'a [&'a str]>,
}

/// The usual one.
pub(crate) const ALLOW: ConsentChoice<'static> = ConsentChoice { button: "allow", account: None, scopes: None };

/// Sends the form of a page, which was found at `url`.
pub(crate) fn submit_form(url: &str, page: &Page, choice: ConsentChoice<'_>) -> Page {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    for token in page.input_values("token") {
        fields.append_pair("token", &token);
    }
    let listed_accounts = page.input_values("account");
    if let Some(account) = choice.account.or(listed_accounts.first().map(String::as_str)) {
        fields.append_pair("account", account);
    }
    let listed_scopes = page.input_values("scope");
    match choice.scopes {
        Some(scopes) => fields.extend_pairs(scopes.iter().map(|scope| ("scope", scope))),
        None => fields.extend_pairs(listed_scopes.iter().map(|scope| ("scope", scope))),
    };
    fields.append_pair("decision", choice.button);
    let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
    let headers = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nOrigin: {origin}\r\n\
         Sec-Fetch-Site: same-origin\r\n"
    );
    // A form without an action goes to the page's own address.
    send_request("POST", url, &headers, &fields.finish())
}

/// Visits and decides; what comes back leads to the program.
pub(crate) fn submit_consent(url: &str, choice: ConsentChoice<'_>) -> Page {
    let page = get_page(url);
    assert_eq!(page.status, 200, "{}\n{}", page.head, page.body);
    submit_form(url, &page, choice)
}
