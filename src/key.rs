//! Private RSA keys: read from PEM, checked, used to sign and to verify, nothing else.
//!
//! The `rsa` crate has an open advisory for timing (RUSTSEC-2023-0071). It concerns decryption and signing that
//! others can measure: gauth never decrypts, and signs with blinding only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::rand_core::UnwrapErr;
use rsa::signature::{SignatureEncoding, Signer, Verifier};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Smallest key that is used, in bits.
const SMALLEST: u32 = 1024;
/// Smallest key that is used without a warning, in bits.
const SMALLEST_GOOD: u32 = 2048;
/// Largest key that is used, in bits.
const LARGEST: u32 = 8192;

/// A private key for RS256 (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 section 3.3).
pub struct PrivateKey {
    signing: SigningKey<Sha256>,
    bits: u32,
}

impl PrivateKey {
    /// Reads a key from PEM: PKCS#8 (`BEGIN PRIVATE KEY`) or PKCS#1 (`BEGIN RSA PRIVATE KEY`), with any line
    /// ends, spaces around lines, and literal `\n` as some tools leave it.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with the field's name.
    pub fn from_pem(pem: &str) -> Result<PrivateKey, String> {
        let (label, der) = der_of(pem)?;
        let key = match label {
            Label::Pkcs8 => RsaPrivateKey::from_pkcs8_der(&der).map_err(|error| {
                // The only algorithm of service-account keys is RSA; others parse as PKCS#8 but not as that.
                match error.to_string().contains("algorithm") {
                    true => "is not an RSA key".to_owned(),
                    false => "is not a valid PKCS#8 RSA key".to_owned(),
                }
            }),
            Label::Pkcs1 => RsaPrivateKey::from_pkcs1_der(&der)
                .map_err(|_| "is not a valid PKCS#1 RSA key".to_owned()),
        }?;
        PrivateKey::checked(key)
    }

    /// The same for a PEM in custody.
    ///
    /// # Errors
    /// As [`PrivateKey::from_pem`].
    pub fn from_secret(pem: &Secret) -> Result<PrivateKey, String> {
        PrivateKey::from_pem(pem.expose())
    }

    /// Makes a new key of 2048 bits.
    pub fn generate() -> Result<PrivateKey, String> {
        let mut random = UnwrapErr(getrandom::SysRng);
        RsaPrivateKey::new(&mut random, 2048)
            .map_err(|_| "cannot be made".to_owned())
            .and_then(PrivateKey::checked)
    }

    fn checked(key: RsaPrivateKey) -> Result<PrivateKey, String> {
        let bits = key.n().bits();
        if !(SMALLEST..=LARGEST).contains(&bits) {
            return Err(format!("has {bits} bits, {SMALLEST_GOOD} to {LARGEST} are accepted"));
        }
        key.validate().map_err(|_| "does not fit together, its parts contradict each other")?;
        Ok(PrivateKey { signing: SigningKey::new(key), bits })
    }

    /// Length of the modulus in bits.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether the key is shorter than what anyone should still use.
    pub fn is_short(&self) -> bool {
        self.bits < SMALLEST_GOOD
    }

    /// Signs with blinding. The library raises the result to the public exponent and compares before it hands the
    /// signature out: one faulty signature made with the Chinese remainder theorem would give the key away.
    ///
    /// # Errors
    /// When that comparison fails, or the system has no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature = self.signing.try_sign(message);
        signature.map(|signature| signature.to_vec()).map_err(|_| "could not sign".to_owned())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let key: &RsaPrivateKey = self.signing.as_ref();
        PublicKey { verifying: VerifyingKey::new(key.to_public_key()) }
    }

    /// The key as PKCS#8 PEM.
    ///
    /// # Errors
    /// Never for a key that was read or made here.
    pub fn to_pem(&self) -> Result<Secret, String> {
        let key: &RsaPrivateKey = self.signing.as_ref();
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| "cannot be written".to_owned())?;
        Ok(Secret::new(pem.as_str()))
    }
}

/// A public key for RS256.
#[derive(Debug, Clone)]
pub struct PublicKey {
    verifying: VerifyingKey<Sha256>,
}

impl PublicKey {
    /// From modulus and exponent, big-endian, as in a JWK (RFC 7518 section 6.3.1).
    pub fn from_parts(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
        let number = |bytes| BoxedUint::from_be_slice_vartime(bytes);
        let key = RsaPublicKey::new(number(modulus), number(exponent)).ok()?;
        Some(PublicKey { verifying: VerifyingKey::new(key) })
    }

    /// Modulus and exponent, big-endian, without leading zeros.
    pub fn parts(&self) -> (Vec<u8>, Vec<u8>) {
        let key: &RsaPublicKey = self.verifying.as_ref();
        (
            key.n().to_be_bytes_trimmed_vartime().to_vec(),
            key.e().to_be_bytes_trimmed_vartime().to_vec(),
        )
    }

    /// Whether `signature` over `message` was made with the private half.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::try_from(signature)
            .is_ok_and(|signature| self.verifying.verify(message, &signature).is_ok())
    }
}

enum Label {
    Pkcs8,
    Pkcs1,
}

/// The bytes inside the armour.
fn der_of(pem: &str) -> Result<(Label, Zeroizing<Vec<u8>>), String> {
    let pem = Zeroizing::new(pem.replace("\\r", "").replace("\\n", "\n"));
    let pem = pem.trim();
    let begin = pem.lines().next().unwrap_or_default().trim();
    let label = match begin {
        "-----BEGIN PRIVATE KEY-----" => Label::Pkcs8,
        "-----BEGIN RSA PRIVATE KEY-----" => Label::Pkcs1,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----" => return Err("is encrypted".to_owned()),
        "-----BEGIN EC PRIVATE KEY-----" => return Err("is not an RSA key".to_owned()),
        "" => return Err("is empty".to_owned()),
        // Only the armour of known kinds is repeated: anything else may be key material.
        _ if begin.starts_with("-----BEGIN ") && begin.len() <= 64 => {
            let shown = crate::printable::text(begin);
            return Err(format!("is not a private key, it starts with \"{shown}\""));
        }
        _ => return Err("is not a PEM private key".to_owned()),
    };
    let end = match label {
        Label::Pkcs8 => "-----END PRIVATE KEY-----",
        Label::Pkcs1 => "-----END RSA PRIVATE KEY-----",
    };
    let inside = pem[begin.len()..]
        .trim_end()
        .strip_suffix(end)
        .ok_or_else(|| "is cut off, its END line is missing".to_owned())?;
    if inside.contains("-----") {
        return Err("holds more than one PEM block".to_owned());
    }
    let packed: Zeroizing<String> =
        Zeroizing::new(inside.chars().filter(|letter| !letter.is_ascii_whitespace()).collect());
    let der = STANDARD
        .decode(packed.as_bytes())
        .map_err(|_| "has broken base64 between its BEGIN and END lines".to_owned())?;
    Ok((label, Zeroizing::new(der)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../tests/data/credentials/service_account.json"))
                .expect("sample");
        file["private_key"].as_str().expect("key").to_owned()
    }

    #[test]
    fn signs_and_verifies() {
        let key = PrivateKey::from_pem(&sample()).expect("key");
        let signature = key.sign(b"message").expect("signature");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        let (n, e) = key.public().parts();
        let public = PublicKey::from_parts(&n, &e).expect("public");
        assert!(public.verifies(b"message", &signature));
    }

    #[test]
    fn every_way_of_writing_the_same_key_is_read() {
        let pem = sample();
        for variant in [
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "  \n"),
            format!("\n\n  {}", pem.trim()),
            pem.trim_end().to_owned(),
        ] {
            assert!(PrivateKey::from_pem(&variant).is_ok(), "{variant:?}");
        }
    }

    #[test]
    fn a_key_of_1023_bits_or_a_torn_key_is_refused() {
        let pem = sample();
        for (variant, words) in [
            (String::new(), "is empty"),
            ("junk".to_owned(), "not a PEM"),
            (pem.replace("PRIVATE KEY", "CERTIFICATE"), "BEGIN CERTIFICATE"),
            (pem.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"), "encrypted"),
            (pem[..pem.len() / 2].to_owned(), "cut off"),
            (pem.replacen("MII", "M!I", 1), "base64"),
            (pem.replacen("MII", "MIJ", 1), "PKCS#8"),
            (format!("{pem}{pem}"), "more than one"),
        ] {
            let error = PrivateKey::from_pem(&variant).err().expect("refused");
            assert!(error.contains(words), "{error}");
        }
    }
}
