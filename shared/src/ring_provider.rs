//! The cryptography of `jsonwebtoken`, done by ring, so that the tree has one crypto library.
//! Signs RS256 and verifies RS256, PS256 and ES256; every other algorithm is refused.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result, new_error};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaKeyPair, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |data, hash| {
            let algorithm = match hash {
                ThumbprintHash::SHA256 => &digest::SHA256,
                ThumbprintHash::SHA384 => &digest::SHA384,
                ThumbprintHash::SHA512 => &digest::SHA512,
                _ => return Err(unsupported()),
            };
            Ok(digest::digest(algorithm, data).as_ref().to_vec())
        },
    },
};

/// Makes ring the process's provider; without it, `jsonwebtoken` panics at its first use.
/// May be called any number of times: the first call decides and all are the same.
pub fn install() {
    let _ = PROVIDER.install_default();
}

fn unsupported() -> Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

/// RS256 with a private key in PKCS#1 or PKCS#8 form.
struct Rs256(RsaKeyPair);

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if *algorithm != Algorithm::RS256 || key.family() != AlgorithmFamily::Rsa {
        return Err(unsupported());
    }
    let der = key.as_bytes();
    let pair = RsaKeyPair::from_der(der).or_else(|_| RsaKeyPair::from_pkcs8(der));
    let pair = pair.map_err(|rejected| new_error(ErrorKind::InvalidRsaKey(rejected.to_string())))?;
    Ok(Box::new(Rs256(pair)))
}

impl Signer<Vec<u8>> for Rs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let mut signed = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signed)
            .map_err(|_| signature::Error::new())?;
        Ok(signed)
    }
}

impl JwtSigner for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// How a signature is verified.
enum Scheme {
    Rsa(&'static RsaParameters),
    Es256,
}

struct RingVerifier {
    algorithm: Algorithm,
    scheme: Scheme,
    key: DecodingKey,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let scheme = match algorithm {
        Algorithm::RS256 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::PS256 => Scheme::Rsa(&RSA_PSS_2048_8192_SHA256),
        Algorithm::ES256 => Scheme::Es256,
        _ => return Err(unsupported()),
    };
    // A key of another family, e.g. a public key used as an HMAC secret, is how tokens are forged.
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidKeyFormat));
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, scheme, key: key.clone() }))
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let verified = match (&self.scheme, self.key.kind()) {
            (Scheme::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
            }
            (Scheme::Rsa(parameters), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(*parameters, der).verify(message, signed)
            }
            (Scheme::Es256, DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signed)
            }
            (Scheme::Es256, DecodingKeyKind::RsaModulusExponent { .. }) => Err(ring::error::Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rustls_pki_types::PrivatePkcs1KeyDer;
    use rustls_pki_types::pem::PemObject;
    use serde_json::Value;

    const RFC_KEY: &[u8] = include_bytes!("../fixtures/pem/rfc7515-a2.pem");

    /// RFC 7515, A.2 (RS256) and A.3 (ES256); PS256 made with openssl from the key of A.2.
    fn vector(algorithm: &str) -> (Value, String, String) {
        install();
        let vectors: Value = serde_json::from_str(include_str!("../fixtures/rfc7515.json")).unwrap();
        let vector = &vectors[algorithm];
        let (message, signed) = vector["token"].as_str().unwrap().rsplit_once('.').unwrap();
        (vector.clone(), message.to_owned(), signed.to_owned())
    }

    fn rsa_key(vector: &Value) -> DecodingKey {
        DecodingKey::from_rsa_components(vector["n"].as_str().unwrap(), vector["e"].as_str().unwrap())
            .unwrap()
    }

    fn ec_key(vector: &Value) -> DecodingKey {
        DecodingKey::from_ec_components(vector["x"].as_str().unwrap(), vector["y"].as_str().unwrap()).unwrap()
    }

    fn is_verified(signed: &str, message: &str, key: &DecodingKey, algorithm: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(signed, message.as_bytes(), key, algorithm).unwrap()
    }

    #[test]
    fn rs256_signs_as_in_rfc_7515() {
        let (_, message, signed) = vector("rs256");
        let der = PrivatePkcs1KeyDer::from_pem_slice(RFC_KEY).unwrap();
        let key = EncodingKey::from_rsa_der(der.secret_pkcs1_der());
        assert_eq!(jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap(), signed);
    }

    #[test]
    fn known_signatures_are_verified_and_changed_ones_are_not() {
        for (name, algorithm) in
            [("rs256", Algorithm::RS256), ("ps256", Algorithm::PS256), ("es256", Algorithm::ES256)]
        {
            let (vector, message, signed) = vector(name);
            let key = if name == "es256" { ec_key(&vector) } else { rsa_key(&vector) };
            assert!(is_verified(&signed, &message, &key, algorithm), "{name}");
            assert!(!is_verified(&signed, &format!("{message}A"), &key, algorithm), "{name}");
            let mut bytes = URL_SAFE_NO_PAD.decode(&signed).unwrap();
            bytes[10] ^= 1;
            assert!(!is_verified(&URL_SAFE_NO_PAD.encode(&bytes), &message, &key, algorithm), "{name}");
            bytes.clear();
            assert!(!is_verified(&URL_SAFE_NO_PAD.encode(&bytes), &message, &key, algorithm), "{name}");
        }
    }

    #[test]
    fn one_rsa_scheme_does_not_pass_for_the_other() {
        let (vector, message, signed) = vector("rs256");
        assert!(!is_verified(&signed, &message, &rsa_key(&vector), Algorithm::PS256));
    }

    #[test]
    fn a_key_of_another_family_is_refused() {
        let rsa = rsa_key(&vector("rs256").0);
        let hmac = DecodingKey::from_secret(b"public");
        for (algorithm, key) in [(Algorithm::ES256, &rsa), (Algorithm::RS256, &hmac)] {
            assert!(jsonwebtoken::crypto::verify("AAAA", b"", key, algorithm).is_err(), "{algorithm:?}");
        }
        assert!(
            jsonwebtoken::crypto::sign(b"", &EncodingKey::from_secret(b"secret"), Algorithm::RS256).is_err()
        );
    }

    #[test]
    fn other_algorithms_are_refused() {
        let hmac = DecodingKey::from_secret(b"secret");
        let rsa = rsa_key(&vector("rs256").0);
        for algorithm in
            [Algorithm::HS256, Algorithm::HS512, Algorithm::RS384, Algorithm::ES384, Algorithm::EdDSA]
        {
            for key in [&hmac, &rsa] {
                assert!(jsonwebtoken::crypto::verify("AAAA", b"", key, algorithm).is_err(), "{algorithm:?}");
            }
            let secret = EncodingKey::from_secret(b"secret");
            assert!(jsonwebtoken::crypto::sign(b"", &secret, algorithm).is_err(), "{algorithm:?}");
        }
    }
}
