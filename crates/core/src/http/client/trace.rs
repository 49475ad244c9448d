//! What `-vv` shows of requests and responses: everything but secrets, and never the body of a response.

use std::fmt;
use std::time::Duration;

use crate::error::Result;
use crate::net::message::{HttpHeaderValue, HttpRequest, HttpResponse};
use crate::net::proxy::Proxy;
use crate::text::{printable, secret};

/// Parts of names; a field or header whose name contains one is secret.
const SECRET_NAME_PARTS: &[&str] = &[
    "assertion",
    "secret",
    "token",
    "password",
    "rapt",
    "code",
    "verifier",
    "signature",
    "key",
    "authorization",
    "cookie",
];

/// One line about a request, built only if `-vv` prints it.
pub(super) enum TraceLine<'a> {
    Request(&'a HttpRequest, Option<&'a Proxy>),
    Header(&'a str, &'a HttpHeaderValue),
    Form(&'a [u8]),
}

/// The lines about a request.
pub(super) fn request_lines<'a>(
    request: &'a HttpRequest,
    proxy: Option<&'a Proxy>,
) -> impl Iterator<Item = TraceLine<'a>> {
    let is_form = request.headers.iter().any(|(name, value)| {
        let HttpHeaderValue::Plain(value) = value else { return false };
        name == "content-type" && value.starts_with("application/x-www-form-urlencoded")
    });
    let form = request.body.as_ref().filter(|_| is_form).map(|body| TraceLine::Form(body));
    std::iter::once(TraceLine::Request(request, proxy))
        .chain(request.headers.iter().map(|(name, value)| TraceLine::Header(name, value)))
        .chain(form)
}

/// The line about a response, or about the failure.
pub(super) fn outcome_line(outcome: &Result<HttpResponse>, elapsed: Duration) -> String {
    let elapsed_millis = elapsed.as_millis();
    match outcome {
        Ok(response) => {
            format!("< {}, {} bytes, {elapsed_millis} ms", response.status, response.body.len())
        }
        Err(error) => format!("< no answer, {elapsed_millis} ms: {error}"),
    }
}

impl fmt::Display for TraceLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceLine::Request(request, proxy) => {
                write!(f, "> {} {}", request.method.as_str(), request.url.without_query())?;
                if let Some((_, query)) = request.url.as_str().split_once('?') {
                    write!(f, "?{}", redacted_fields(query.as_bytes()))?;
                }
                if let Some(proxy) = proxy {
                    write!(f, " through {proxy}")?;
                }
                request.body.as_ref().map_or(Ok(()), |body| write!(f, " ({} bytes)", body.len()))
            }
            TraceLine::Header(name, HttpHeaderValue::Secret(secret)) => {
                write!(f, "> {name}: [secret {}]", secret.fingerprint())
            }
            TraceLine::Header(name, HttpHeaderValue::Plain(value)) => {
                write!(f, "> {name}: {}", redacted_value(name, value))
            }
            TraceLine::Form(body) => write!(f, "> {}", redacted_fields(body)),
        }
    }
}

/// The fields of a form or query, in order.
fn redacted_fields(text: &[u8]) -> String {
    let field = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        format!("{}={}", printable::text(&name), redacted_value(&name, &value))
    };
    form_urlencoded::parse(text).map(field).collect::<Vec<_>>().join("&")
}

/// A value, or its fingerprint where its name says that it is secret.
fn redacted_value(name: &str, value: &str) -> String {
    let name = name.to_ascii_lowercase();
    // `subject_token_type` and its kind say what a token is, not which.
    let secret = !name.ends_with("_type") && SECRET_NAME_PARTS.iter().any(|word| name.contains(word));
    match secret && !value.is_empty() {
        true => format!("[secret {}]", secret::fingerprint(value.as_bytes())),
        false => printable::text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::net::url::Url;
    use crate::text::secret::Secret;

    fn lines(request: &HttpRequest) -> Vec<String> {
        super::request_lines(request, None).map(|line| line.to_string()).collect()
    }

    #[test]
    fn a_form_shows_its_fields_and_the_fingerprints_of_its_secrets() {
        let url = Url::parse("https://a.example/token").expect("url");
        let secret = [
            "assertion",
            "refresh_token",
            "client_secret",
            "subject_token",
            "actor_token",
            "rapt",
            "code",
            "code_verifier",
            "token",
            "password",
        ];
        let fields: Vec<_> = secret.iter().map(|name| (*name, "hunter2hunter2")).collect();
        let shown = lines(&HttpRequest::form(url.clone(), &fields)).join("\n");
        assert!(!shown.contains("hunter2"), "{shown}");
        for name in secret {
            let print = secret::fingerprint(b"hunter2hunter2");
            assert!(shown.contains(&format!("{name}=[secret {print}]")), "{shown}");
        }
        let open = [("grant_type", "refresh_token"), ("scope", "a b"), ("subject_token_type", "jwt")];
        let shown = lines(&HttpRequest::form(url, &open));
        assert_eq!(shown[0], "> POST https://a.example/token (57 bytes)");
        assert_eq!(shown[1], "> content-type: application/x-www-form-urlencoded");
        assert_eq!(shown[2], "> grant_type=refresh_token&scope=a b&subject_token_type=jwt");
    }

    #[test]
    fn headers_and_queries_show_no_secrets() {
        let url = Url::parse("http://127.0.0.1/x?recursive=true&token=hunter2hunter2").expect("url");
        let mut request = HttpRequest::get(url).header("metadata-flavor", "Google");
        let bearer = HttpHeaderValue::Secret(Secret::new("Bearer hunter2hunter2"));
        request.headers.push(("authorization".into(), bearer));
        request = request.header("x-aws-ec2-metadata-token", "hunter2hunter2");
        let shown = lines(&request);
        assert!(shown[0].starts_with("> GET http://127.0.0.1/x?recursive=true&token=[secret "));
        assert_eq!(shown[1], "> metadata-flavor: Google");
        assert!(!shown.join("\n").contains("hunter2"), "{shown:?}");
    }

    #[test]
    fn answers_are_counted_not_shown() {
        let response = HttpResponse { status: 200, body: b"secret".to_vec().into(), ..HttpResponse::default() };
        assert_eq!(outcome_line(&Ok(response), Duration::from_millis(12)), "< 200, 6 bytes, 12 ms");
        let error = Err(Error::no_answer("a.example: connection refused"));
        let shown = outcome_line(&error, Duration::from_millis(3));
        assert_eq!(shown, "< no answer, 3 ms: a.example: connection refused");
    }
}
