//! Our OAuth clients at the hosts other than GitHub: the secret
//! `{"gitlab":{"client_id","client_secret"},"bitbucket":{...},"enterprise_sso":{"issuer",...,"broker"}}`.
//! A host that is left out is switched off.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::provider::ProviderType;
use crate::provider::enterprise_sso::{Issuer, IssuerProblem, SsoClient};
use crate::provider::oauth::OauthClient;
use crate::secrets::FromSecret;
use crate::secrets::fields::{Fields, text};

/// The clients that the operator has registered.
#[derive(Clone, Debug, Default)]
pub struct OauthClients {
    /// At GitLab.
    pub gitlab: Option<OauthClient>,
    /// At Bitbucket.
    pub bitbucket: Option<OauthClient>,
    /// At the enterprise's OpenID Connect provider.
    pub enterprise_sso: Option<SsoClient>,
}

impl FromSecret for OauthClients {
    fn from_secret(text: &str) -> Result<Self, String> {
        let mut fields = Fields::parse(text)?;
        Ok(Self {
            gitlab: client(&mut fields, "gitlab")?,
            bitbucket: client(&mut fields, "bitbucket")?,
            enterprise_sso: sso_client(&mut fields)?,
        })
    }
}

fn client(fields: &mut Fields, name: &str) -> Result<Option<OauthClient>, String> {
    if !fields.has(name) {
        return Ok(None);
    }
    let mut inner = Fields::of(fields.object(name)?);
    credentials(&mut inner).map(Some).map_err(|problem| format!("{name}.{problem}"))
}

fn credentials(fields: &mut Fields) -> Result<OauthClient, String> {
    let client_id = fields.text("client_id")?;
    if !client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("client_id contains a blank or a character outside ASCII".to_owned());
    }
    let client_secret = fields.text("client_secret")?.into();
    Ok(OauthClient { client_id, client_secret })
}

fn sso_client(fields: &mut Fields) -> Result<Option<SsoClient>, String> {
    const NAME: &str = "enterprise_sso";
    if !fields.has(NAME) {
        return Ok(None);
    }
    let mut inner = Fields::of(fields.object(NAME)?);
    let mut read = || {
        let issuer: Issuer = inner.text("issuer")?.parse().map_err(|problem: IssuerProblem| {
            format!("issuer {problem}; expected https://host[:port][/path]")
        })?;
        let client = credentials(&mut inner)?;
        Ok(SsoClient { issuer, client, broker: broker(&mut inner)? })
    };
    read().map(Some).map_err(|problem: String| format!("{NAME}.{problem}"))
}

/// Under which alias the issuer brokers which host. An alias becomes a segment of an address.
fn broker(fields: &mut Fields) -> Result<BTreeMap<ProviderType, String>, String> {
    if !fields.has("broker") {
        return Ok(BTreeMap::new());
    }
    let mut aliases = BTreeMap::new();
    for (host, alias) in fields.object("broker")? {
        let provider = ProviderType::from_name(&host)
            .filter(|provider| *provider != ProviderType::EnterpriseSso)
            .ok_or("broker names a host that is none of github, gitlab and bitbucket")?;
        if alias == Value::Null {
            continue;
        }
        let name = format!("broker.{provider}");
        let alias = text(&name, alias)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if alias.len() > 255 || !alias.bytes().all(plain) || matches!(alias.as_str(), "." | "..") {
            return Err(format!(
                "{name} is no alias; expected 1 to 255 letters, digits, dots, hyphens, underscores"
            ));
        }
        aliases.insert(provider, alias);
    }
    Ok(aliases)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn hosts_that_are_left_out_or_null_are_switched_off() {
        let clients = OauthClients::from_secret("{}").unwrap();
        assert!(clients.gitlab.is_none() && clients.bitbucket.is_none());
        let clients = OauthClients::from_secret(
            r#"{"gitlab":null,"bitbucket":{"client_id":"b","client_secret":"s","more":1},"other":[]}"#,
        );
        let clients = clients.unwrap();
        assert!(clients.gitlab.is_none());
        let bitbucket = clients.bitbucket.unwrap();
        assert_eq!((&*bitbucket.client_id, bitbucket.client_secret.expose_secret()), ("b", "s"));
    }

    #[test]
    fn what_is_wrong_is_named_and_its_value_is_not_repeated() {
        let problem = |text: &str| OauthClients::from_secret(text).unwrap_err();
        assert_eq!(problem("[]"), "it is not a JSON object");
        assert_eq!(problem(r#"{"gitlab":"hunter2"}"#), "gitlab is a string; expected an object");
        assert_eq!(problem(r#"{"gitlab":{}}"#), "gitlab.client_id is missing");
        assert_eq!(problem(r#"{"gitlab":{"client_id":"a"}}"#), "gitlab.client_secret is missing");
        assert_eq!(
            problem(r#"{"bitbucket":{"client_id":"hunter 2","client_secret":"x"}}"#),
            "bitbucket.client_id contains a blank or a character outside ASCII"
        );
    }

    const SSO: &str = r#"{"enterprise_sso":{"issuer":"https://sso.example/realms/acme/","client_id":"c",
        "client_secret":"s","broker":{"github":"github-acme","gitlab":"GL_1.x","bitbucket":null}}}"#;

    #[test]
    fn the_issuer_is_kept_as_it_was_written_and_brokers_by_alias() {
        let sso = OauthClients::from_secret(SSO).unwrap().enterprise_sso.unwrap();
        assert_eq!(sso.issuer.as_str(), "https://sso.example/realms/acme/");
        assert_eq!((&*sso.client.client_id, sso.client.client_secret.expose_secret()), ("c", "s"));
        let aliases: Vec<_> = sso.broker.iter().map(|(host, alias)| (*host, alias.as_str())).collect();
        assert_eq!(aliases, [(ProviderType::Github, "github-acme"), (ProviderType::Gitlab, "GL_1.x")]);

        for broker in [r#","broker":null"#, r#","broker":{}"#, ""] {
            let text = format!(
                r#"{{"enterprise_sso":{{"issuer":"http://localhost:8080","client_id":"c","client_secret":"s"{broker}}}}}"#
            );
            let sso = OauthClients::from_secret(&text).unwrap().enterprise_sso.unwrap();
            assert!(sso.broker.is_empty(), "{broker}");
        }
        for switched_off in ["{}", r#"{"enterprise_sso":null}"#] {
            assert!(OauthClients::from_secret(switched_off).unwrap().enterprise_sso.is_none());
        }
    }

    #[test]
    fn each_problem_of_single_sign_on_names_its_field() {
        let problem = |from: &str, to: &str| {
            assert!(SSO.contains(from), "{from}");
            OauthClients::from_secret(&SSO.replace(from, to)).unwrap_err()
        };
        let issuer = r#""https://sso.example/realms/acme/""#;
        for (written, what) in [
            ("null", "is missing"),
            ("7", "is a number; expected a string"),
            (r#""sso.example""#, "does not start with https://; expected https://host[:port][/path]"),
            (
                r#""https://hunter2@sso.example""#,
                "contains a user name or password; expected https://host[:port][/path]",
            ),
            (
                r#""https://sso.example?a=hunter2""#,
                "contains a query or fragment; expected https://host[:port][/path]",
            ),
            (
                r##""https://sso.example#""##,
                "contains a query or fragment; expected https://host[:port][/path]",
            ),
            (
                r#""http://sso.example""#,
                "is http:// to another machine, which would send tokens unencrypted; expected https://host[:port][/path]",
            ),
        ] {
            assert_eq!(problem(issuer, written), format!("enterprise_sso.issuer {what}"), "{written}");
        }
        assert_eq!(problem(r#""client_id":"c""#, r#""x":1"#), "enterprise_sso.client_id is missing");
        assert_eq!(
            problem(r#""client_secret":"s""#, r#""client_secret":"""#),
            "enterprise_sso.client_secret is empty"
        );
        let alias = "is no alias; expected 1 to 255 letters, digits, dots, hyphens, underscores";
        let long = format!("{:?}", "a".repeat(256));
        for written in [r#""..""#, r#"".""#, r#""a/b""#, r#""a b""#, r#""ä""#, &long] {
            assert_eq!(
                problem(r#""github-acme""#, written),
                format!("enterprise_sso.broker.github {alias}"),
                "{written}"
            );
        }
        assert_eq!(
            problem(r#""github-acme""#, "[]"),
            "enterprise_sso.broker.github is a list; expected a string"
        );
        let unknown = "enterprise_sso.broker names a host that is none of github, gitlab and bitbucket";
        for written in [r#""gitea":"#, r#""Github":"#, r#""enterprise_sso":"#] {
            assert_eq!(problem(r#""github":"#, written), unknown, "{written}");
        }
    }

    proptest! {
        #[test]
        fn whatever_an_alias_is_it_stays_one_segment_of_an_address(alias in "[a-zA-Z0-9._/%? -]{0,12}|.{0,8}") {
            let secret = serde_json::json!({"enterprise_sso": {"issuer": "https://sso.example/realms/acme",
                "client_id": "c", "client_secret": "s", "broker": {"gitlab": alias}}});
            if let Ok(OauthClients { enterprise_sso: Some(sso), .. }) = OauthClients::from_secret(&secret.to_string()) {
                let base = url::Url::parse("https://sso.example/realms/acme/broker/").unwrap();
                let alias = &sso.broker[&ProviderType::Gitlab];
                let address = base.join(&format!("{alias}/token")).unwrap();
                prop_assert_eq!(address.path(), format!("/realms/acme/broker/{alias}/token"));
            }
        }

        #[test]
        fn no_secret_makes_the_reader_panic(text in r#"(\{"(gitlab|enterprise_sso)":)?[\[\]{}":,a-z0-9 ]{0,40}|.*"#) {
            let _ = OauthClients::from_secret(&text);
        }
    }
}
