//! The fields of a secret that is a JSON object, taken out one by one.
//! Texts of refusal name the field and never repeat its value, which is why serde's own are not used.

use secrecy::SecretString;
use serde_json::{Map, Value};

/// What a secret holds until the operator fills it in; `template.yaml` writes it.
const NOT_FILLED_IN: &str = "not filled in yet";

/// Whether the operator has not filled in this secret yet.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.trim() == NOT_FILLED_IN
}

/// A JSON object whose values are secret.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Parses the whole secret.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err("it is not a JSON object".to_owned()),
            Err(_) if is_placeholder(text) => Err(format!("it is {NOT_FILLED_IN}")),
            Err(error) => Err(format!("it is not JSON (line {}, column {})", error.line(), error.column())),
        }
    }

    /// The fields of an object within a secret.
    pub(crate) const fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Whether there is such a field with a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field, whatever it is.
    pub(crate) fn take(&mut self, name: &str) -> Result<Value, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Err(format!("{name} is missing")),
            Some(value) => Ok(value),
        }
    }

    /// Takes a field that is a string with something in it.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, String> {
        text(name, self.take(name)?)
    }

    /// Takes a field that is such a string or, while rotating, a list of them; never empty.
    /// Each comes with the words that name it.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<(String, SecretString)>, String> {
        let one = |name: String, value| text(&name, value).map(|text| (name, SecretString::from(text)));
        match self.take(name)? {
            Value::Array(values) if values.is_empty() => Err(format!("{name} is an empty list")),
            Value::Array(values) => {
                let named = values.into_iter().enumerate();
                named.map(|(index, value)| one(format!("{name}[{index}]"), value)).collect()
            }
            value => one(name.to_owned(), value).map(|text| vec![text]),
        }
    }

    /// Takes a field that is an object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Map<String, Value>, String> {
        match self.take(name)? {
            Value::Object(fields) => Ok(fields),
            other => Err(format!("{name} is {}; expected an object", kind(&other))),
        }
    }
}

/// The string that this value is.
pub(crate) fn text(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err(format!("{name} is empty")),
        Value::String(text) => Ok(text),
        other => Err(format!("{name} is {}; expected a string", kind(&other))),
    }
}

/// What kind of JSON value it is, in words.
pub(crate) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
