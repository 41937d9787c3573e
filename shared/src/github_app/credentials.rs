//! The GitHub App's secret: `{"app_id","client_id","client_secret","private_key","webhook_secret"}`.
//! Its forms are DESIGN 7's; keys that are not named there are ignored.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::private_key::PrivateKey;
use crate::secrets::FromSecret;
use crate::secrets::fields::{Fields, kind};

/// What proves that we are the App; printed, it shows nothing secret.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The App's number.
    pub app_id: u64,
    /// The client id, which is also the JWTs' issuer.
    pub client_id: String,
    /// The client secret of the OAuth flow.
    pub client_secret: SecretString,
    /// The private keys, the preferred one first; never empty.
    private_keys: Vec<PrivateKey>,
    /// The webhook secrets; never empty. Any of them may have signed a delivery while rotating.
    webhook_secrets: Vec<SecretString>,
}

impl AppCredentials {
    /// The private keys, the preferred one first; at least one.
    #[must_use]
    pub fn private_keys(&self) -> &[PrivateKey] {
        &self.private_keys
    }

    /// The secrets that may have signed a webhook; at least one.
    #[must_use]
    pub fn webhook_secrets(&self) -> &[SecretString] {
        &self.webhook_secrets
    }
}

impl FromSecret for AppCredentials {
    fn from_secret(text: &str) -> Result<Self, String> {
        let mut fields = Fields::parse(text)?;
        let app_id = app_id(&fields.take("app_id")?)?;
        let client_id = fields.text("client_id")?;
        if !client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("client_id contains a blank or a character outside ASCII".to_owned());
        }
        let client_secret = fields.text("client_secret")?.into();
        let private_keys = fields.texts("private_key")?.into_iter().map(|(name, text)| {
            PrivateKey::from_text(text.expose_secret()).map_err(|problem| {
                format!(
                    "{name} {problem}; expected the App's RSA private key as GitHub gives it, in PEM form"
                )
            })
        });
        Ok(Self {
            app_id,
            client_id,
            client_secret,
            private_keys: private_keys.collect::<Result<_, _>>()?,
            webhook_secrets: fields.texts("webhook_secret")?.into_iter().map(|(_, text)| text).collect(),
        })
    }
}

/// A number, or a string of digits as most tools store it.
fn app_id(value: &Value) -> Result<u64, String> {
    let id = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            let text = text.trim();
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        }
        other => return Err(format!("app_id is {}; expected a number", kind(other))),
    };
    id.filter(|id| *id > 0).ok_or_else(|| "app_id is not a positive whole number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const KEY: &str = include_str!("../../fixtures/pem/rsa-pkcs1.pem");
    const OTHER_KEY: &str = include_str!("../../fixtures/pem/other-pkcs1.pem");

    fn secret() -> Value {
        json!({
            "app_id": 4001,
            "client_id": "Iv23liABCDEF",
            "client_secret": "not-to-be-printed",
            "private_key": KEY,
            "webhook_secret": "neither-this",
        })
    }

    fn with(field: &str, value: Value) -> Result<AppCredentials, String> {
        let mut secret = secret();
        secret[field] = value;
        AppCredentials::from_secret(&secret.to_string())
    }

    #[test]
    fn a_secret_as_documented_is_taken() {
        let app = AppCredentials::from_secret(&secret().to_string()).unwrap();
        assert_eq!((app.app_id, app.client_id.as_str()), (4001, "Iv23liABCDEF"));
        assert_eq!(app.client_secret.expose_secret(), "not-to-be-printed");
        assert_eq!((app.private_keys().len(), app.webhook_secrets().len()), (1, 1));
    }

    #[test]
    fn a_secret_that_a_stack_has_just_made_says_that_it_is_not_filled_in() {
        for placeholder in ["not filled in yet", "not filled in yet\n"] {
            assert_eq!(AppCredentials::from_secret(placeholder).unwrap_err(), "it is not filled in yet");
        }
    }

    #[test]
    fn the_app_id_may_be_a_number_or_its_digits() {
        assert_eq!(with("app_id", json!("4001")).unwrap().app_id, 4001);
        for value in [json!(0), json!(-1), json!(1.5), json!("4001x"), json!("+1"), json!(""), json!("1e3")] {
            assert_eq!(with("app_id", value).unwrap_err(), "app_id is not a positive whole number");
        }
        assert_eq!(with("app_id", json!([1])).unwrap_err(), "app_id is a list; expected a number");
    }

    #[test]
    fn keys_and_webhook_secrets_may_be_lists_while_rotating() {
        let app = with("private_key", json!([OTHER_KEY, KEY])).unwrap();
        let single = with("private_key", json!(OTHER_KEY)).unwrap();
        assert_eq!(app.private_keys().len(), 2);
        assert_eq!(app.private_keys()[0].id(), single.private_keys()[0].id());
        let app = with("webhook_secret", json!(["new", "old"])).unwrap();
        let secrets: Vec<&str> = app.webhook_secrets().iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(secrets, ["new", "old"]);
    }

    #[test]
    fn unknown_fields_are_ignored() {
        assert!(with("pem_path", json!({"a": [1]})).is_ok());
    }

    #[test]
    fn a_wrong_field_is_named_and_its_value_is_not_repeated() {
        for field in ["app_id", "client_id", "client_secret", "private_key", "webhook_secret"] {
            assert_eq!(with(field, Value::Null).unwrap_err(), format!("{field} is missing"));
        }
        for field in ["client_id", "client_secret", "private_key", "webhook_secret"] {
            assert_eq!(with(field, json!("")).unwrap_err(), format!("{field} is empty"));
            assert_eq!(with(field, json!(5)).unwrap_err(), format!("{field} is a number; expected a string"));
        }
        assert_eq!(with("private_key", json!([])).unwrap_err(), "private_key is an empty list");
        assert_eq!(with("webhook_secret", json!(["a", ""])).unwrap_err(), "webhook_secret[1] is empty");
        assert_eq!(
            with("private_key", json!([KEY, "hunter2"])).unwrap_err(),
            "private_key[1] contains no PEM block; expected the App's RSA private key as GitHub gives it, in PEM form"
        );
        assert!(with("client_id", json!("a b")).unwrap_err().starts_with("client_id contains a blank"));
    }

    #[test]
    fn what_is_not_a_json_object_is_refused_without_repeating_it() {
        let refusal = |text: &str| AppCredentials::from_secret(text).unwrap_err();
        assert_eq!(refusal(""), "it is not JSON (line 1, column 0)");
        assert_eq!(refusal("{\"client_secret\": hunter2}"), "it is not JSON (line 1, column 19)");
        assert_eq!(refusal("[\"hunter2\"]"), "it is not a JSON object");
    }

    #[test]
    fn printed_credentials_show_nothing_secret() {
        let app = AppCredentials::from_secret(&secret().to_string()).unwrap();
        let printed = format!("{app:?}");
        let inside_the_key = KEY.lines().nth(3).unwrap();
        for hidden in ["not-to-be-printed", "neither-this", "BEGIN", inside_the_key] {
            assert!(!printed.contains(hidden), "{printed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in any::<String>()) {
            prop_assert!(AppCredentials::from_secret(&text).is_err());
        }
    }
}
