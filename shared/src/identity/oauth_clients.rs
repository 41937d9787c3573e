//! Our OAuth clients at the hosts other than GitHub: the secret
//! `{"gitlab":{"client_id","client_secret"},"bitbucket":{...}}`. A host that is left out is switched off.

use crate::provider::oauth::OauthClient;
use crate::secrets::FromSecret;
use crate::secrets::fields::Fields;

/// The clients that the operator has registered.
#[derive(Clone, Debug, Default)]
pub struct OauthClients {
    /// At GitLab.
    pub gitlab: Option<OauthClient>,
    /// At Bitbucket.
    pub bitbucket: Option<OauthClient>,
}

impl FromSecret for OauthClients {
    fn from_secret(text: &str) -> Result<Self, String> {
        let mut fields = Fields::parse(text)?;
        Ok(Self { gitlab: client(&mut fields, "gitlab")?, bitbucket: client(&mut fields, "bitbucket")? })
    }
}

fn client(fields: &mut Fields, name: &str) -> Result<Option<OauthClient>, String> {
    if !fields.has(name) {
        return Ok(None);
    }
    let mut inner = Fields::of(fields.object(name)?);
    let named = |problem: String| format!("{name}.{problem}");
    let client_id = inner.text("client_id").map_err(named)?;
    if !client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{name}.client_id contains a blank or a character outside ASCII"));
    }
    let client_secret = inner.text("client_secret").map_err(named)?.into();
    Ok(Some(OauthClient { client_id, client_secret }))
}

#[cfg(test)]
mod tests {
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
}
