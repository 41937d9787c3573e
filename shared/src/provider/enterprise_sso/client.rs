//! Our client at the issuer as the operator configures it, and what may be an issuer at all.
//! The secret that it stands in is read in `identity::oauth_clients`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::config::{endpoint, parse_base_url};
use crate::provider::ProviderType;
use crate::provider::oauth::OauthClient;

/// Our client at the issuer, as the operator configured it.
#[derive(Clone, Debug)]
pub struct SsoClient {
    /// Who signs the users in.
    pub issuer: Issuer,
    /// Our credentials there.
    pub client: OauthClient,
    /// Under which alias the issuer brokers each host; none for those that it does not.
    pub broker: BTreeMap<ProviderType, String>,
}

/// A checked issuer identifier: https (http on this machine only), no user, query or fragment (OpenID Connect
/// Discovery 1.0, 3).
///
/// It is compared as text, exactly as it was configured: a trailing slash is a part of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a text cannot name an issuer; it does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IssuerProblem(&'static str);

impl Issuer {
    /// The name, as it stands in discovery documents and tokens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its address, without the slash at the end that the name may have.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Where its discovery document is: appended to its path (OpenID Connect Discovery 1.0, 4.1).
    pub(super) fn discovery_url(&self) -> Url {
        endpoint(&self.url, &[".well-known", "openid-configuration"])
    }
}

impl FromStr for Issuer {
    type Err = IssuerProblem;

    fn from_str(text: &str) -> Result<Self, IssuerProblem> {
        let url = parse_base_url(text).map_err(IssuerProblem)?;
        Ok(Self { text: text.to_owned(), url })
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
