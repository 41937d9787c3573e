//! The issuer's discovery document: which addresses it names, and which of them may be called.
//! How long it is kept is `kept`'s business.

use serde_json::Value;
use url::{Host, Url};

use super::visits::OFFLINE_ACCESS;
use super::{Issuer, SsoError};
use crate::config::is_this_machine;

/// What the document says, as far as we need it.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    /// RP-initiated logout, where it is offered.
    pub(super) end_session_endpoint: Option<Url>,
    /// Revocation of tokens (RFC 7009), where it is offered.
    pub(super) revocation_endpoint: Option<Url>,
    /// How we prove ourselves at the token endpoint.
    pub(super) token_auth: ClientAuth,
    /// How we prove ourselves at the revocation endpoint.
    pub(super) revocation_auth: ClientAuth,
    /// Whether tokens can be had that outlive the session there (OpenID Connect Core 1.0, 11).
    pub(super) offers_offline_access: bool,
    /// Whether every answer in the browser names the issuer (RFC 9207, 3).
    pub(super) answers_name_issuer: bool,
}

/// Where the client's secret stands (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// `client_secret_basic`, which an issuer that names no method supports.
    Header,
    /// `client_secret_post`, which RFC 6749 does not recommend.
    Form,
}

impl Discovery {
    /// Reads the document of `issuer`. It must be that issuer's own (OpenID Connect Discovery 1.0, 4.3).
    pub(super) fn read(issuer: &Issuer, document: &Value) -> Result<Self, SsoError> {
        if document["issuer"].as_str() != Some(issuer.as_str()) {
            return Err(SsoError::Discovery("is another issuer's"));
        }
        let required = |name: &str, missing, bad| {
            let text = document[name].as_str().ok_or(SsoError::Discovery(missing))?;
            allowed(issuer, text).map_err(|reason| {
                tracing::error!(
                    endpoint = name,
                    reason,
                    "the issuer names an address that may not be called"
                );
                SsoError::Discovery(bad)
            })
        };
        let optional = |name: &str| {
            let found = allowed(issuer, document[name].as_str()?);
            found
                .inspect_err(|reason| {
                    tracing::warn!(endpoint = name, reason, "an address of the issuer's is left out of use");
                })
                .ok()
        };
        let token_auth = client_auth(&document["token_endpoint_auth_methods_supported"]);
        let revocation_auth = match &document["revocation_endpoint_auth_methods_supported"] {
            Value::Null => token_auth,
            methods => client_auth(methods),
        };
        Ok(Self {
            authorization_endpoint: required(
                "authorization_endpoint",
                "names no authorization_endpoint",
                "names an authorization_endpoint that may not be called",
            )?,
            token_endpoint: required(
                "token_endpoint",
                "names no token_endpoint",
                "names a token_endpoint that may not be called",
            )?,
            jwks_uri: required("jwks_uri", "names no jwks_uri", "names a jwks_uri that may not be called")?,
            end_session_endpoint: optional("end_session_endpoint"),
            revocation_endpoint: optional("revocation_endpoint"),
            token_auth,
            revocation_auth,
            offers_offline_access: lists(&document["scopes_supported"], OFFLINE_ACCESS),
            answers_name_issuer: document["authorization_response_iss_parameter_supported"] == true,
        })
    }
}

fn lists(values: &Value, wanted: &str) -> bool {
    values.as_array().is_some_and(|values| values.iter().any(|value| value == wanted))
}

fn client_auth(methods: &Value) -> ClientAuth {
    if lists(methods, "client_secret_post") && !lists(methods, "client_secret_basic") {
        ClientAuth::Form
    } else {
        ClientAuth::Header
    }
}

/// The address, if it may be called. It comes out of a document, not from the operator: it must not lead into
/// this machine's or the network's own services (reference 4, point 4), unless to the issuer itself.
fn allowed(issuer: &Issuer, text: &str) -> Result<Url, &'static str> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("contains a blank, a control character or a backslash");
    }
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user name or password");
    }
    if url.fragment().is_some() {
        return Err("contains a fragment");
    }
    // The issuer's own origin is the operator's word: https anywhere, http on this machine.
    if matches!(url.scheme(), "https" | "http") && url.origin() == issuer.url().origin() {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err("is not https");
    }
    match url.host() {
        Some(Host::Domain(name)) if name.ends_with('.') || is_this_machine(&url) => Err("is on this machine"),
        Some(Host::Domain(_)) if url.port().is_some() => Err("has an unusual port"),
        Some(Host::Domain(_)) => Ok(url),
        _ => Err("is an IP address"),
    }
}
