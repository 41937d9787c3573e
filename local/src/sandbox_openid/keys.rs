//! The realm's keys: RS256 from fixtures, ES256 made when they are needed, rotation, and the JWKS.
//! What is signed with them is decided elsewhere.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jwt::{self, Claims, base64url, claims};

const FIXTURES: [&str; 2] = [
    include_str!("../../fixtures/sandbox-openid-1.private-key.pem"),
    include_str!("../../fixtures/sandbox-openid-2.private-key.pem"),
];
/// What stands before an RSA public key of 2048 bits to make it a SubjectPublicKeyInfo.
const SPKI: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
];

static RSA: LazyLock<[Option<RsaKeyPair>; 2]> = LazyLock::new(|| FIXTURES.map(rsa));

/// A key cannot be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum KeyError {
    /// A fixture is not an RSA key in PKCS#8.
    #[error("a fixture of the sandbox OpenID provider is not an RSA private key")]
    Fixture,
    /// An elliptic key was not made, is damaged, or did not sign.
    #[error("the sandbox OpenID provider's key could not be made or used")]
    Refused,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with SHA-256, from the fixtures.
    Rs256,
    /// P-256 with SHA-256, a new key.
    Es256,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// What becomes of the key that signed until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldKeys {
    /// All stay in the JWKS: what they signed is still believed.
    Keep,
    /// All are gone, as after a leak.
    Drop,
}

#[derive(Clone, Serialize, Deserialize)]
enum Material {
    Fixture(usize),
    /// PKCS#8 in base64.
    Generated(String),
}

#[derive(Clone, Serialize, Deserialize)]
struct Key {
    kid: String,
    material: Material,
}

/// The keys; the last one signs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).ok()
}

fn rsa(pem: &str) -> Option<RsaKeyPair> {
    RsaKeyPair::from_pkcs8(&der(pem)?).ok()
}

fn fixture(number: usize) -> Result<&'static RsaKeyPair, KeyError> {
    RSA.get(number).and_then(Option::as_ref).ok_or(KeyError::Fixture)
}

fn elliptic(pkcs8: &str) -> Result<EcdsaKeyPair, KeyError> {
    let pkcs8 = STANDARD.decode(pkcs8).map_err(|_| KeyError::Refused)?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new())
        .map_err(|_| KeyError::Refused)
}

fn rsa_jwk(kid: &str, algorithm: &str, used_for: &str, key: &RsaKeyPair) -> Value {
    let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
    json!({ "kid": kid, "kty": "RSA", "alg": algorithm, "use": used_for, "n": base64url(n), "e": base64url(e) })
}

impl Key {
    fn new(material: Material) -> Result<Self, KeyError> {
        let mut key = Self { kid: String::new(), material };
        // As Keycloak does: the kid is the hash of the public key.
        key.kid = base64url(digest(&SHA256, &key.public()?));
        Ok(key)
    }

    const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Fixture(_) => Algorithm::Rs256,
            Material::Generated(_) => Algorithm::Es256,
        }
    }

    fn public(&self) -> Result<Vec<u8>, KeyError> {
        Ok(match &self.material {
            Material::Fixture(number) => fixture(*number)?.public().as_ref().to_vec(),
            Material::Generated(pkcs8) => elliptic(pkcs8)?.public_key().as_ref().to_vec(),
        })
    }

    fn jwk(&self) -> Result<Value, KeyError> {
        Ok(match &self.material {
            Material::Fixture(number) => rsa_jwk(&self.kid, "RS256", "sig", fixture(*number)?),
            Material::Generated(_) => {
                let point = self.public()?;
                // 0x04, then both coordinates.
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                json!({
                    "kid": self.kid, "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256",
                    "x": base64url(x), "y": base64url(y),
                })
            }
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.material {
            Material::Fixture(number) => {
                let key = fixture(*number)?;
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| KeyError::Refused)?;
                Ok(signature)
            }
            Material::Generated(pkcs8) => {
                let signature = elliptic(pkcs8)?.sign(&random, message).map_err(|_| KeyError::Refused)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(public) = self.public() else { return false };
        match self.algorithm() {
            Algorithm::Rs256 => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(message, signature).is_ok()
            }
            Algorithm::Es256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(message, signature).is_ok()
            }
        }
    }
}

impl Keys {
    /// Keycloak's default: one RSA key.
    pub(super) fn new() -> Result<Self, KeyError> {
        Ok(Self(vec![Key::new(Material::Fixture(0))?]))
    }

    fn active(&self) -> Result<&Key, KeyError> {
        self.0.last().ok_or(KeyError::Refused)
    }

    /// The kids of the keys that are in the JWKS for signatures, the one that signs last.
    pub(super) fn kids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.kid.clone()).collect()
    }

    /// Lets another key sign from now on; answers its kid.
    pub(super) fn rotate(&mut self, algorithm: Algorithm, old: OldKeys) -> Result<String, KeyError> {
        let material = match algorithm {
            Algorithm::Es256 => {
                let made =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
                Material::Generated(STANDARD.encode(made.map_err(|_| KeyError::Refused)?.as_ref()))
            }
            // There are two of them: the one that is not the last RSA key.
            Algorithm::Rs256 => {
                let last = self.0.iter().rev().find_map(|key| match key.material {
                    Material::Fixture(number) => Some(number),
                    Material::Generated(_) => None,
                });
                Material::Fixture(last.map_or(0, |number| 1 - number.min(1)))
            }
        };
        let key = Key::new(material)?;
        let kid = key.kid.clone();
        if old == OldKeys::Drop {
            self.0.clear();
        }
        self.0.retain(|one| one.kid != kid);
        self.0.push(key);
        Ok(kid)
    }

    /// The document of the certs endpoint. As Keycloak's, it holds a key that is not for signatures.
    pub(super) fn jwks(&self) -> Result<Value, KeyError> {
        let mut keys: Vec<Value> = self.0.iter().rev().map(Key::jwk).collect::<Result<_, _>>()?;
        let encryption = ENCRYPTION.as_ref().ok_or(KeyError::Fixture)?;
        let kid = base64url(digest(&SHA256, encryption.public().as_ref()));
        keys.push(rsa_jwk(&kid, "RSA-OAEP", "enc", encryption));
        Ok(json!({ "keys": keys }))
    }

    /// The header that a token signed now has.
    pub(super) fn header(&self, kind: &str) -> Result<Claims, KeyError> {
        let key = self.active()?;
        Ok(claims(json!({ "alg": key.algorithm().name(), "typ": kind, "kid": key.kid })))
    }

    /// Signs with the key of now, whatever the header says.
    pub(super) fn sign(&self, header: &Claims, body: &Claims) -> Result<String, KeyError> {
        let input = jwt::signing_input(header, body);
        let signature = self.active()?.sign(input.as_bytes())?;
        Ok(jwt::compact(&input, &signature))
    }

    /// The claims of a token that one of the keys signed.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        let parsed = jwt::parse(token)?;
        let kid = parsed.header.get("kid")?.as_str()?;
        let key = self.0.iter().find(|key| key.kid == kid)?;
        let algorithm = parsed.header.get("alg")?.as_str()?;
        let good = algorithm == key.algorithm().name()
            && key.signed(parsed.signing_input.as_bytes(), &parsed.signature);
        good.then_some(parsed.claims)
    }
}

/// The sandbox GitHub App's key has a second office: nobody encrypts anything to it.
static ENCRYPTION: LazyLock<Option<RsaKeyPair>> =
    LazyLock::new(|| RsaKeyPair::from_der(&der(crate::stack::SANDBOX_PRIVATE_KEY)?).ok());

/// The RSA public key as PEM and as DER, as an attacker would find them.
pub(super) fn rsa_public() -> Result<(String, Vec<u8>), KeyError> {
    let der = [&SPKI, fixture(0)?.public().as_ref()].concat();
    let text = STANDARD.encode(&der);
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    Ok((pem, der))
}
