//! Private keys, read from PEM, and public keys: they sign and verify. The keys are RSA, or for Google Distributed Cloud
//! EC on the curve P-256.
//!
//! The advisory RUSTSEC-2023-0071 (timing) lists no patched version of the `rsa` crate, although the crate states that
//! 0.10 fixes the problem. gauth never decrypts, and always signs with blinding; SECURITY.md has the details.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa;
use p256::elliptic_curve::Generate;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::signature::{SignatureEncoding, Signer, Verifier};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, PrivateKey as RsaPrivateKey, PublicKey as RsaPublicKey, pkcs1v15};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::text::secret::Secret;

/// The minimum length of an RSA key, in bits.
const MIN_RSA_BITS: u32 = 1024;
/// The minimum length of an RSA key that is used without a warning, in bits.
const RECOMMENDED_RSA_BITS: u32 = 2048;
/// The maximum length of an RSA key, in bits.
const MAX_RSA_BITS: u32 = 8192;

/// A private key for RS256 (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 section 3.3) or ES256 (ECDSA on P-256 with
/// SHA-256, section 3.4).
pub struct PrivateKey(PrivateKeyInner);

enum PrivateKeyInner {
    Rsa { signing: pkcs1v15::SigningKey<Sha256>, bits: u32 },
    Ec(ecdsa::SigningKey),
}

/// The kinds of keys that a caller accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AcceptedKeys {
    Rsa,
    RsaOrEc,
}

impl PrivateKey {
    /// Reads an RSA key from PEM: PKCS#8 (`BEGIN PRIVATE KEY`) or PKCS#1 (`BEGIN RSA PRIVATE KEY`). Any line ends, spaces
    /// around lines and a literal `\n`, which some tools write, are accepted.
    ///
    /// # Errors
    /// The end of a sentence that begins with the name of the field.
    pub fn rsa_from_pem(pem: &str) -> Result<PrivateKey, String> {
        PrivateKey::read(pem, AcceptedKeys::Rsa)
    }

    /// Reads an RSA key from PEM in a [`Secret`].
    ///
    /// # Errors
    /// As [`PrivateKey::rsa_from_pem`].
    pub fn rsa_from_secret(pem: &Secret) -> Result<PrivateKey, String> {
        PrivateKey::rsa_from_pem(pem.expose())
    }

    /// Reads an RSA key, or an EC key on P-256 in PKCS#8 or SEC1 (`BEGIN EC PRIVATE KEY`).
    ///
    /// # Errors
    /// As [`PrivateKey::rsa_from_pem`].
    pub fn any_from_pem(pem: &str) -> Result<PrivateKey, String> {
        PrivateKey::read(pem, AcceptedKeys::RsaOrEc)
    }

    /// Reads an RSA or EC key from PEM in a [`Secret`].
    ///
    /// # Errors
    /// As [`PrivateKey::rsa_from_pem`].
    pub fn any_from_secret(pem: &Secret) -> Result<PrivateKey, String> {
        PrivateKey::any_from_pem(pem.expose())
    }

    fn read(pem: &str, accepted: AcceptedKeys) -> Result<PrivateKey, String> {
        let (label, der) = decode_pem(pem, accepted)?;
        match label {
            PemLabel::Pkcs8 => match RsaPrivateKey::from_pkcs8_der(&der) {
                Ok(key) => PrivateKey::from_rsa(key),
                Err(error) => match (is_other_algorithm(&error), accepted) {
                    (true, AcceptedKeys::Rsa) => Err("is not an RSA key".to_owned()),
                    (true, AcceptedKeys::RsaOrEc) => ec_from_pkcs8(&der),
                    (false, AcceptedKeys::Rsa) => Err("is not a valid PKCS#8 RSA key".to_owned()),
                    (false, AcceptedKeys::RsaOrEc) => Err("is not a valid PKCS#8 key".to_owned()),
                },
            },
            PemLabel::Pkcs1 => RsaPrivateKey::from_pkcs1_der(&der)
                .map_err(|_| "is not a valid PKCS#1 RSA key".to_owned())
                .and_then(PrivateKey::from_rsa),
            PemLabel::Sec1 => p256::SecretKey::from_sec1_der(&der)
                .map(|key| PrivateKey(PrivateKeyInner::Ec(key.into())))
                .map_err(|_| "is not a valid SEC1 key on the curve P-256".to_owned()),
        }
    }

    /// Generates an RSA key of 2048 bits.
    ///
    /// # Errors
    /// The end of a sentence, where no key can be generated.
    pub fn generate() -> Result<PrivateKey, String> {
        RsaPrivateKey::new(&mut getrandom::SysRng, 2048)
            .map_err(|_| "cannot be generated".to_owned())
            .and_then(PrivateKey::from_rsa)
    }

    /// Generates an EC key on P-256.
    ///
    /// # Errors
    /// The end of a sentence, where the system has no random numbers.
    pub fn generate_ec() -> Result<PrivateKey, String> {
        ecdsa::SigningKey::try_generate_from_rng(&mut getrandom::SysRng)
            .map(|key| PrivateKey(PrivateKeyInner::Ec(key)))
            .map_err(|_| "cannot be generated".to_owned())
    }

    fn from_rsa(key: RsaPrivateKey) -> Result<PrivateKey, String> {
        let bits = key.n().bit_width();
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(format!("has {bits} bits, {RECOMMENDED_RSA_BITS} to {MAX_RSA_BITS} are accepted"));
        }
        key.validate().map_err(|_| "is not a valid key, its numbers are inconsistent")?;
        Ok(PrivateKey(PrivateKeyInner::Rsa { signing: pkcs1v15::SigningKey::new(key), bits }))
    }

    /// The `alg` of its signatures: `RS256` or `ES256`.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            PrivateKeyInner::Rsa { .. } => "RS256",
            PrivateKeyInner::Ec(_) => "ES256",
        }
    }

    /// The length of the modulus or of the curve's field, in bits.
    pub fn bits(&self) -> u32 {
        match self.0 {
            PrivateKeyInner::Rsa { bits, .. } => bits,
            PrivateKeyInner::Ec(_) => 256,
        }
    }

    /// Whether the key is an RSA key of less than 2048 bits, which should be replaced.
    pub(crate) fn is_weak(&self) -> bool {
        matches!(self.0, PrivateKeyInner::Rsa { bits, .. } if bits < RECOMMENDED_RSA_BITS)
    }

    /// Signs a message. RSA signs with blinding, and the library verifies the signature before it returns it, because one
    /// faulty signature computed with the Chinese remainder theorem would reveal the key. EC returns the 64 bytes R and S
    /// (RFC 7518 section 3.4), with the deterministic nonce of RFC 6979.
    ///
    /// # Errors
    /// When that verification fails, or the system has no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature = match &self.0 {
            PrivateKeyInner::Rsa { signing, .. } => signing.try_sign(message).map(|it| it.to_vec()),
            PrivateKeyInner::Ec(signing) => signing.try_sign(message).map(|it: ecdsa::Signature| it.to_vec()),
        };
        signature.map_err(|_| "could not sign".to_owned())
    }

    /// The public key of the pair.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(match &self.0 {
            PrivateKeyInner::Rsa { signing, .. } => {
                let key: &RsaPrivateKey = signing.as_ref();
                PublicKeyInner::Rsa(pkcs1v15::VerifyingKey::new(key.to_public_key()))
            }
            PrivateKeyInner::Ec(signing) => PublicKeyInner::Ec(*signing.verifying_key()),
        })
    }

    /// The key as PKCS#8 PEM.
    ///
    /// # Errors
    /// When the key cannot be encoded, which does not happen with keys of this type.
    pub fn to_pem(&self) -> Result<Secret, String> {
        let pem = match &self.0 {
            PrivateKeyInner::Rsa { signing, .. } => {
                let key: &RsaPrivateKey = signing.as_ref();
                key.to_pkcs8_pem(LineEnding::LF)
            }
            PrivateKeyInner::Ec(signing) => signing.to_pkcs8_pem(LineEnding::LF),
        };
        let pem = pem.map_err(|_| "cannot be written".to_owned())?;
        Ok(Secret::new(pem.as_str()))
    }
}

/// Whether a key is valid PKCS#8, but of another algorithm or curve.
fn is_other_algorithm(error: &rsa::pkcs8::Error) -> bool {
    error.to_string().contains("algorithm")
}

fn ec_from_pkcs8(der: &[u8]) -> Result<PrivateKey, String> {
    let key = ecdsa::SigningKey::from_pkcs8_der(der).map_err(|error| match is_other_algorithm(&error) {
        true => "is neither an RSA key nor an EC key on the curve P-256".to_owned(),
        false => "is not a valid PKCS#8 EC key".to_owned(),
    })?;
    Ok(PrivateKey(PrivateKeyInner::Ec(key)))
}

/// A public key for RS256 or ES256.
#[derive(Debug, Clone)]
pub struct PublicKey(PublicKeyInner);

#[derive(Debug, Clone)]
enum PublicKeyInner {
    Rsa(pkcs1v15::VerifyingKey<Sha256>),
    Ec(ecdsa::VerifyingKey),
}

impl PublicKey {
    /// An RSA key from its modulus and exponent, big-endian, as in a JWK (RFC 7518 section 6.3.1).
    pub fn from_rsa_parameters(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
        let number = |bytes| BoxedUint::from_be_slice_vartime(bytes);
        let key = RsaPublicKey::new(number(modulus), number(exponent)).ok()?;
        Some(PublicKey(PublicKeyInner::Rsa(pkcs1v15::VerifyingKey::new(key))))
    }

    /// An EC key on P-256 from the coordinates x and y of its point, 32 bytes each, as in a JWK (RFC 7518 section 6.2.1).
    pub(crate) fn from_ec_point(x: &[u8], y: &[u8]) -> Option<PublicKey> {
        let (x, y) = (<[u8; 32]>::try_from(x).ok()?, <[u8; 32]>::try_from(y).ok()?);
        // The first byte marks an uncompressed point, which has both coordinates.
        let point = [&[4], &x[..], &y[..]].concat();
        let key = ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
        Some(PublicKey(PublicKeyInner::Ec(key)))
    }

    /// The `alg` of the signatures that it verifies: `RS256` or `ES256`.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            PublicKeyInner::Rsa(_) => "RS256",
            PublicKeyInner::Ec(_) => "ES256",
        }
    }

    /// The two numbers of a JWK, big-endian: the modulus and exponent without leading zeros, or the coordinates x and y of
    /// the point, 32 bytes each.
    pub fn jwk_parameters(&self) -> (Vec<u8>, Vec<u8>) {
        match &self.0 {
            PublicKeyInner::Rsa(verifying) => {
                let key: &RsaPublicKey = verifying.as_ref();
                (key.n().to_be_bytes_trimmed_vartime().to_vec(), key.e().to_be_bytes_trimmed_vartime().to_vec())
            }
            PublicKeyInner::Ec(verifying) => {
                // The first byte marks an uncompressed point.
                let point = verifying.to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                (x.to_vec(), y.to_vec())
            }
        }
    }

    /// Whether `signature` is a signature of `message` by the private key of the pair.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            PublicKeyInner::Rsa(verifying) => pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| verifying.verify(message, &signature).is_ok()),
            PublicKeyInner::Ec(verifying) => ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| verifying.verify(message, &signature).is_ok()),
        }
    }
}

enum PemLabel {
    Pkcs8,
    Pkcs1,
    Sec1,
}

/// Decodes PEM; the label decides the format of the key.
fn decode_pem(pem: &str, accepted: AcceptedKeys) -> Result<(PemLabel, Zeroizing<Vec<u8>>), String> {
    let pem = Zeroizing::new(pem.replace("\\r", "").replace("\\n", "\n"));
    let pem = pem.trim();
    let begin = pem.lines().next().unwrap_or_default().trim();
    let label = match begin {
        "-----BEGIN PRIVATE KEY-----" => PemLabel::Pkcs8,
        "-----BEGIN RSA PRIVATE KEY-----" => PemLabel::Pkcs1,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----" => return Err("is encrypted".to_owned()),
        "-----BEGIN EC PRIVATE KEY-----" => match accepted {
            AcceptedKeys::RsaOrEc => PemLabel::Sec1,
            AcceptedKeys::Rsa => return Err("is not an RSA key".to_owned()),
        },
        "" => return Err("is empty".to_owned()),
        // Only the armour of known kinds is repeated: anything else may be key material.
        _ if begin.starts_with("-----BEGIN ") && begin.len() <= 64 => {
            let shown = crate::text::printable::text(begin);
            return Err(format!("is not a private key, it starts with \"{shown}\""));
        }
        _ => return Err("is not a PEM private key".to_owned()),
    };
    let end = match label {
        PemLabel::Pkcs8 => "-----END PRIVATE KEY-----",
        PemLabel::Pkcs1 => "-----END RSA PRIVATE KEY-----",
        PemLabel::Sec1 => "-----END EC PRIVATE KEY-----",
    };
    let body = pem[begin.len()..]
        .trim_end()
        .strip_suffix(end)
        .ok_or_else(|| "is cut off, its END line is missing".to_owned())?;
    if body.contains("-----") {
        return Err("holds more than one PEM block".to_owned());
    }
    let encoded: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect());
    let der = STANDARD
        .decode(encoded.as_bytes())
        .map_err(|_| "has broken base64 between its BEGIN and END lines".to_owned())?;
    Ok((label, Zeroizing::new(der)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/credentials/service_account.json"))
                .expect("sample");
        file["private_key"].as_str().expect("key").to_owned()
    }

    #[test]
    fn an_rsa_key_signs_and_verifies() {
        let key = PrivateKey::rsa_from_pem(&sample()).expect("key");
        let signature = key.sign(b"message").expect("signature");
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"massage", &signature));
        let (n, e) = key.public_key().jwk_parameters();
        let public = PublicKey::from_rsa_parameters(&n, &e).expect("public");
        assert!(public.verifies(b"message", &signature));
    }

    #[test]
    fn pem_variants_of_the_same_key_are_read() {
        let pem = sample();
        for variant in [
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "  \n"),
            format!("\n\n  {}", pem.trim()),
            pem.trim_end().to_owned(),
        ] {
            assert!(PrivateKey::rsa_from_pem(&variant).is_ok(), "{variant:?}");
        }
    }

    #[test]
    fn malformed_rsa_pem_is_refused() {
        let pem = sample();
        for (variant, message) in [
            (String::new(), "is empty"),
            ("junk".to_owned(), "not a PEM"),
            (pem.replace("PRIVATE KEY", "CERTIFICATE"), "BEGIN CERTIFICATE"),
            (pem.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"), "encrypted"),
            (pem[..pem.len() / 2].to_owned(), "cut off"),
            (pem.replacen("MII", "M!I", 1), "base64"),
            (pem.replacen("MII", "MIJ", 1), "PKCS#8"),
            (format!("{pem}{pem}"), "more than one"),
        ] {
            let error = PrivateKey::rsa_from_pem(&variant).err().expect("refused");
            assert!(error.contains(message), "{error}");
        }
    }

    const EC: &str = include_str!("../../../../tests/data/keys/ec.pem");
    const EC_SEC1: &str = include_str!("../../../../tests/data/keys/ec-sec1.pem");
    const ED25519: &str = include_str!("../../../../tests/data/keys/ed25519.pem");
    const P384: &str = include_str!("../../../../tests/data/keys/ec-p384.pem");
    const P384_SEC1: &str = include_str!("../../../../tests/data/keys/ec-p384-sec1.pem");
    const SECP256K1: &str = include_str!("../../../../tests/data/keys/ec-secp256k1.pem");
    const SECP256K1_SEC1: &str = include_str!("../../../../tests/data/keys/ec-secp256k1-sec1.pem");

    #[test]
    fn an_ec_key_signs_and_verifies() {
        let key = PrivateKey::any_from_pem(EC).expect("key");
        assert_eq!((key.algorithm(), key.bits(), key.is_weak()), ("ES256", 256, false));
        let signature = key.sign(b"message").expect("signature");
        assert_eq!(signature.len(), 64);
        assert_eq!(key.sign(b"message").as_ref(), Ok(&signature), "RFC 6979 has one signature");
        assert_eq!(PrivateKey::any_from_pem(EC_SEC1).expect("key").sign(b"message").as_ref(), Ok(&signature));
        assert!(key.public_key().verifies(b"message", &signature));
        assert!(!key.public_key().verifies(b"massage", &signature));
        assert!(!key.public_key().verifies(b"message", &signature[..63]));
        assert!(!key.public_key().verifies(b"message", &[0; 64]));
        let (x, y) = key.public_key().jwk_parameters();
        assert_eq!((x.len(), y.len()), (32, 32));
        let public = PublicKey::from_ec_point(&x, &y).expect("public");
        assert!(public.verifies(b"message", &signature) && public.algorithm() == "ES256");
        assert!(PublicKey::from_ec_point(&x, &x).is_none(), "no point of the curve");
        assert!(PublicKey::from_ec_point(&x[1..], &y).is_none());
    }

    /// RFC 6979, appendix A.2.5: curve P-256, SHA-256, message "sample".
    #[test]
    fn an_es256_signature_is_that_of_rfc_6979() {
        let bytes = |hex: &str| -> Vec<u8> {
            let pairs = hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair));
            pairs.map(|pair| u8::from_str_radix(&pair, 16).expect("hex")).collect()
        };
        let secret = bytes("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = ecdsa::SigningKey::from_slice(&secret).expect("key");
        let key = PrivateKey(PrivateKeyInner::Ec(key));
        let r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
        let s = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
        assert_eq!(key.sign(b"sample"), Ok(bytes(&format!("{r}{s}"))));
    }

    #[test]
    fn generated_keys_survive_a_pem_round_trip() {
        for made in [PrivateKey::generate_ec(), PrivateKey::rsa_from_pem(&sample())] {
            let made = made.expect("key");
            let pem = made.to_pem().expect("pem");
            assert!(pem.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
            let read = PrivateKey::any_from_secret(&pem).expect("key");
            assert_eq!(read.algorithm(), made.algorithm());
            assert_eq!(read.public_key().jwk_parameters(), made.public_key().jwk_parameters());
        }
        let one = PrivateKey::generate_ec().expect("key").public_key().jwk_parameters();
        assert_ne!(one, PrivateKey::generate_ec().expect("key").public_key().jwk_parameters());
    }

    #[test]
    fn ec_keys_are_refused_where_rsa_is_required() {
        for pem in [EC, EC_SEC1, ED25519, P384, P384_SEC1] {
            assert_eq!(PrivateKey::rsa_from_pem(pem).err().as_deref(), Some("is not an RSA key"));
        }
    }

    #[test]
    fn keys_that_are_neither_rsa_nor_p_256_are_refused() {
        let rsa = sample();
        let other = PrivateKey::generate_ec().and_then(|key| key.to_pem()).expect("pem");
        let lines = |pem: &str| pem.lines().map(str::to_owned).collect::<Vec<_>>();
        // The private half of one key and the public half of another.
        let mismatched = [&lines(EC)[..2], &lines(other.expose())[2..]].concat().join("\n");
        for (variant, message) in [
            (String::new(), "is empty"),
            ("junk".to_owned(), "is not a PEM private key"),
            (ED25519.to_owned(), "is neither an RSA key nor an EC key on the curve P-256"),
            (P384.to_owned(), "is neither an RSA key nor an EC key on the curve P-256"),
            (SECP256K1.to_owned(), "is neither an RSA key nor an EC key on the curve P-256"),
            (P384_SEC1.to_owned(), "is not a valid SEC1 key on the curve P-256"),
            (SECP256K1_SEC1.to_owned(), "is not a valid SEC1 key on the curve P-256"),
            (EC.replace("PRIVATE", "EC PRIVATE"), "is not a valid SEC1 key"),
            (EC_SEC1.replace("EC PRIVATE", "PRIVATE"), "is not a valid PKCS#8 key"),
            (EC.replace("PRIVATE KEY", "PUBLIC KEY"), "BEGIN PUBLIC KEY"),
            (EC_SEC1.replace("EC PRIVATE KEY", "EC PARAMETERS"), "BEGIN EC PARAMETERS"),
            (EC.replace("PRIVATE", "ENCRYPTED PRIVATE"), "is encrypted"),
            (EC_SEC1.replace("-----END EC PRIVATE KEY-----", ""), "is cut off"),
            (EC_SEC1.replace("END EC", "END"), "is cut off"),
            (EC_SEC1.replacen("MHc", "M!c", 1), "has broken base64"),
            (EC_SEC1.replacen("MHc", "MHd", 1), "is not a valid SEC1 key"),
            (format!("{EC}{EC}"), "holds more than one PEM block"),
            (mismatched, "is not a valid PKCS#8 EC key"),
            (rsa.replacen("MII", "MIJ", 1), "is not a valid PKCS#8 key"),
            (rsa.replace("PRIVATE", "RSA PRIVATE"), "is not a valid PKCS#1 RSA key"),
        ] {
            let error = PrivateKey::any_from_pem(&variant).err().unwrap_or_else(|| panic!("{variant} was read"));
            assert!(error.contains(message), "{error}: {message}");
        }
    }
}
