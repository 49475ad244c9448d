//! Certificates as subject tokens: what X.509 federation sends to Google's STS, besides the certificate in the TLS
//! handshake (AIP-4118).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error, PemObject};
use sha2::{Digest, Sha256};

/// The subject token: a JSON array of certificates, base64 of their DER, the leaf first, then its issuers in the order
/// of `trust_chain_pem`. That may begin with the leaf itself.
///
/// # Errors
/// What is wrong with one of the files, as a sentence that begins with "the certificate" or "the trust chain".
pub fn subject_token(leaf_pem: &[u8], trust_chain_pem: Option<&[u8]>) -> Result<String, String> {
    let leaf = parse_leaf(leaf_pem)?;
    let mut certificates = vec![leaf.clone()];
    if let Some(pem) = trust_chain_pem {
        let trust_chain = parse_certificates(pem).map_err(|what| format!("the trust chain {what}"))?;
        if trust_chain.iter().any(|one| webpki::anchor_from_trusted_cert(one).is_err()) {
            return Err("the trust chain has a block that is not a certificate".to_owned());
        }
        let chain_begins_with_leaf = trust_chain.first() == Some(&leaf);
        let issuers = &trust_chain[usize::from(chain_begins_with_leaf)..];
        if issuers.contains(&leaf) {
            return Err("the trust chain holds the certificate itself, but not first".to_owned());
        }
        certificates.extend_from_slice(issuers);
    }
    // Spaces as in Google's own libraries. The base64 alphabet needs no escapes.
    let json_strings: Vec<String> = certificates.iter().map(|one| format!("\"{}\"", STANDARD.encode(one))).collect();
    Ok(format!("[{}]", json_strings.join(", ")))
}

/// The first certificate of a file, the leaf.
///
/// # Errors
/// What is wrong with the file, as a sentence that begins with "the certificate".
pub fn parse_leaf(pem: &[u8]) -> Result<CertificateDer<'static>, String> {
    let leaf = parse_certificates(pem).map(|mut all| all.swap_remove(0));
    let leaf = leaf.map_err(|what| format!("the certificate {what}"))?;
    match webpki::EndEntityCert::try_from(&leaf) {
        Ok(_) => Ok(leaf),
        Err(_) => Err("the certificate has a first block that is not a certificate".to_owned()),
    }
}

/// All certificates in a PEM text, at least one.
fn parse_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    // The certificates are sent to a server, so they must not come from a file that also has a private key.
    if contains(pem, b"PRIVATE KEY-----") {
        return Err("has a private key in its file".to_owned());
    }
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| pem_error_message(&error).to_owned())?;
    match found.is_empty() {
        true => Err("has no \"BEGIN CERTIFICATE\" in its file".to_owned()),
        false => Ok(found),
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

fn pem_error_message(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "is cut off, its END line is missing",
        Error::IllegalSectionStart { .. } => "has a broken BEGIN line",
        Error::Base64Decode(_) => "has broken base64 between its BEGIN and END lines",
        _ => "is not valid PEM",
    }
}

/// The SHA-256 fingerprint of a certificate in base64 without padding, 43 characters, to which a token can be bound.
pub fn sha256_fingerprint(certificate: &CertificateDer<'_>) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(certificate))
}

/// Whether the certificate is one of Google's agent identities, whose tokens are bound to their certificate.
pub fn is_agent_identity(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
    certificate.valid_uri_names().any(is_agent_spiffe_id)
}

/// Whether a URI is `spiffe://TRUST_DOMAIN/…` in a trust domain of agent identities.
fn is_agent_spiffe_id(uri: &str) -> bool {
    let trust_domain = uri.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
    let Some((trust_domain, _)) = trust_domain else { return false };
    let ["agents" | "agents-nonprod", "global", owner, "system", "id", "goog"] =
        trust_domain.split('.').collect::<Vec<_>>()[..]
    else {
        return false;
    };
    let number = owner.strip_prefix("org-").or_else(|| owner.strip_prefix("proj-"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};
    use serde_json::Value;

    use super::*;

    struct SubjectTokenVector {
        leaf: String,
        chain: String,
        case: Value,
    }

    fn vector() -> SubjectTokenVector {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../../tests/data/vectors.json")).expect("vectors");
        let case = vectors["x509_subject_token"].clone();
        let text = |name: &str| case[name].as_str().expect("pem").to_owned();
        SubjectTokenVector { leaf: text("leaf_pem"), chain: text("trust_chain_pem"), case }
    }

    fn token(leaf: &str, chain: Option<&str>) -> Result<String, String> {
        subject_token(leaf.as_bytes(), chain.map(str::as_bytes))
    }

    #[test]
    fn the_published_subject_tokens_come_out_byte_for_byte() {
        let SubjectTokenVector { leaf, chain, case } = vector();
        assert_eq!(token(&leaf, None).expect("token"), case["expected_leaf_only"]);
        assert_eq!(token(&leaf, Some(&chain)).expect("token"), case["expected_with_chain"]);
        let leaf = super::parse_leaf(leaf.as_bytes()).expect("leaf");
        assert_eq!(sha256_fingerprint(&leaf), case["sha256_fingerprint_unpadded_base64"]);
        assert!(!is_agent_identity(&leaf));
    }

    #[test]
    fn a_chain_may_begin_with_the_leaf_and_have_it_nowhere_else() {
        let SubjectTokenVector { leaf, chain, case } = vector();
        let with_chain = &case["expected_with_chain"];
        assert_eq!(token(&leaf, Some(&format!("{leaf}{chain}"))).expect("token"), *with_chain);
        assert_eq!(token(&leaf, Some(&leaf)).expect("token"), case["expected_leaf_only"]);
        for wrong in [format!("{chain}{leaf}"), format!("{leaf}{leaf}"), format!("{leaf}{chain}{leaf}")] {
            let error = token(&leaf, Some(&wrong)).expect_err("refused");
            assert_eq!(error, "the trust chain holds the certificate itself, but not first");
        }
    }

    #[test]
    fn only_the_first_certificate_of_its_file_is_the_leaf() {
        let SubjectTokenVector { leaf, chain, case } = vector();
        let bundle = format!("{leaf}{chain}");
        assert_eq!(token(&bundle, None).expect("token"), case["expected_leaf_only"]);
    }

    #[test]
    fn every_way_of_writing_the_same_certificate_is_read() {
        let SubjectTokenVector { leaf, chain, case } = vector();
        for write in [
            |pem: &str| pem.replace('\n', "\r\n"),
            |pem: &str| format!("Subject: CN=x\n\n{pem}\ntrailing words"),
            |pem: &str| pem.trim_end().to_owned(),
            |pem: &str| pem.replace('\n', " \n"),
        ] {
            let read = token(&write(&leaf), Some(&write(&chain)));
            assert_eq!(read.expect("token"), case["expected_with_chain"]);
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_in_words() {
        let SubjectTokenVector { leaf, .. } = vector();
        let key = include_str!("../../../../../tests/data/keys/ec.pem");
        let rsa = key.replace("PRIVATE", "RSA PRIVATE");
        let locked = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let middle = leaf.lines().nth(3).expect("a line");
        for (pem, words) in [
            (String::new(), "has no \"BEGIN CERTIFICATE\""),
            ("junk".to_owned(), "has no \"BEGIN CERTIFICATE\""),
            (leaf.replace("CERTIFICATE", "PUBLIC KEY"), "has no \"BEGIN CERTIFICATE\""),
            (leaf.replace("CERTIFICATE", "PKCS7"), "has no \"BEGIN CERTIFICATE\""),
            (key.to_owned(), "has a private key in its file"),
            (format!("{leaf}{key}"), "has a private key in its file"),
            (format!("{rsa}{leaf}"), "has a private key in its file"),
            (format!("{leaf}{locked}"), "has a private key in its file"),
            (leaf.replace("-----END CERTIFICATE-----", ""), "is cut off"),
            (leaf[..leaf.len() / 2].to_owned(), "is cut off"),
            (leaf.replace("BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE---"), "broken BEGIN line"),
            (leaf.replace(middle, "!!!!"), "has broken base64"),
            (leaf.replace(middle, ""), "block that is not a certificate"),
            (leaf.replacen("MII", "MIJ", 1), "block that is not a certificate"),
            ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(), "block that is not a certificate"),
        ] {
            let error = token(&pem, None).expect_err(&pem);
            assert!(error.starts_with("the certificate ") && error.contains(words), "{error}");
            let error = token(&leaf, Some(&pem)).expect_err(&pem);
            assert!(error.starts_with("the trust chain ") && error.contains(words), "{error}");
        }
    }

    fn certificate_with_uris(uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["agent.example".to_owned()]).expect("params");
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ascii")));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().expect("key");
        params.self_signed(&key).expect("certificate").der().clone()
    }

    #[test]
    fn agents_are_known_by_their_trust_domain() {
        for uri in [
            "spiffe://agents.global.org-123.system.id.goog/resources/x",
            "spiffe://agents.global.proj-123456789012.system.id.goog/",
            "spiffe://agents-nonprod.global.org-1.system.id.goog/x",
            "spiffe://agents-nonprod.global.proj-1.system.id.goog/x/y",
        ] {
            assert!(is_agent_identity(&certificate_with_uris(&[uri])), "{uri}");
            assert!(is_agent_identity(&certificate_with_uris(&["https://example.com/", uri])), "{uri}");
        }
        for uri in [
            "https://agents.global.org-123.system.id.goog/x",
            "spiffe://agents.global.org-123.system.id.goog",
            "spiffe://agents.global.org-.system.id.goog/x",
            "spiffe://agents.global.org-12a.system.id.goog/x",
            "spiffe://agents.global.folder-1.system.id.goog/x",
            "spiffe://agents.local.org-1.system.id.goog/x",
            "spiffe://x.agents.global.org-1.system.id.goog/x",
            "spiffe://agents.global.org-1.system.id.goog.example/x",
            "spiffe://agentsxglobal.org-1.system.id.goog/x",
            "spiffe://example.com/agents.global.org-1.system.id.goog/",
        ] {
            assert!(!is_agent_identity(&certificate_with_uris(&[uri])), "{uri}");
        }
        assert!(!is_agent_identity(&certificate_with_uris(&[])));
        assert!(!is_agent_identity(&CertificateDer::from(vec![0x30, 0])));
    }
}
