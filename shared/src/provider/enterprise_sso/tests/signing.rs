//! Keys of an issuer, and tokens good and bad made with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use rustls_pki_types::PrivatePkcs1KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

pub(super) const RSA: &[u8] = include_bytes!("../../../../fixtures/pem/rsa-pkcs1.pem");
pub(super) const OTHER_RSA: &[u8] = include_bytes!("../../../../fixtures/pem/other-pkcs1.pem");

enum Secret {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key, its name and its algorithm.
pub(super) struct Pair {
    pub(super) id: &'static str,
    pub(super) algorithm: &'static str,
    secret: Secret,
}

impl Pair {
    /// A new key.
    pub(super) fn es256(id: &'static str) -> Self {
        let (signing, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap();
        Self { id, algorithm: "ES256", secret: Secret::Ec(pair) }
    }

    pub(super) fn rsa(id: &'static str, algorithm: &'static str, pem: &[u8]) -> Self {
        let der = PrivatePkcs1KeyDer::from_pem_slice(pem).unwrap();
        let pair = RsaKeyPair::from_der(der.secret_pkcs1_der()).unwrap();
        Self { id, algorithm, secret: Secret::Rsa(pair) }
    }

    pub(super) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.secret {
            Secret::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": text(x), "y": text(y) })
            }
            Secret::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "use": "sig", "alg": self.algorithm, "kid": self.id,
                    "n": text(&n), "e": text(&e) })
            }
        }
    }

    /// The key as DER, which everybody knows and a forger takes as a shared secret.
    pub(super) fn public_der(&self) -> &[u8] {
        match &self.secret {
            Secret::Ec(pair) => pair.public_key().as_ref(),
            Secret::Rsa(pair) => pair.public().as_ref(),
        }
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.id })
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    /// A token with a header of any kind, signed all the same.
    pub(super) fn token_with(&self, header: &Value, claims: &Value) -> String {
        signed(header, claims, |message| self.sign(message))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.secret {
            Secret::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let scheme: &dyn ring::signature::RsaEncoding =
                    if self.algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut bytes = vec![0; pair.public().modulus_len()];
                pair.sign(scheme, &random, message, &mut bytes).unwrap();
                bytes
            }
        }
    }
}

/// A token in compact form with whatever signature.
pub(super) fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}
