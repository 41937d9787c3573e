//! What a call of DynamoDB or Secrets Manager is about, as a name that is the same in every run: the operation and the
//! words of the keys, without what is random in them. `GetItem SESSION`, `PutItem USER/TOKEN#github`.

use std::collections::BTreeSet;

use serde_json::Value;

/// The longest word of a key; hashes are longer.
const LONGEST_WORD: usize = 20;

/// A call by what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedCall {
    /// The name.
    pub name: String,
    /// Whether it is made under a condition, which may not hold.
    pub conditional: bool,
}

impl NamedCall {
    pub(super) fn new(operation: &str, body: &Value) -> Self {
        let mut keys = BTreeSet::new();
        match operation {
            "GetSecretValue" => {
                let id = body["SecretId"].as_str().unwrap_or_default();
                keys.insert(id.rsplit('/').next().unwrap_or_default().to_owned());
            }
            "Query" => {
                let values = &body["ExpressionAttributeValues"];
                let index = if body["IndexName"].is_string() { "index " } else { "" };
                keys.insert(format!("{index}{}", key(text(&values[":pk"]), text(&values[":prefix"]))));
            }
            "TransactWriteItems" => {
                for part in body["TransactItems"].as_array().into_iter().flatten() {
                    keys.extend(part.as_object().into_iter().flat_map(|part| part.values().map(key_of)));
                }
            }
            "BatchWriteItem" | "BatchGetItem" => {
                let requests =
                    body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.values());
                for request in requests {
                    let asked = request["Keys"].as_array().into_iter().flatten().map(key_in);
                    let written = request.as_array().into_iter().flatten();
                    let written = written.filter_map(Value::as_object).flat_map(|one| one.values());
                    keys.extend(asked.chain(written.map(key_of)));
                }
            }
            _ => drop(keys.insert(key_of(body))),
        }
        let parts = body["TransactItems"].as_array().into_iter().flatten();
        let conditional = parts
            .flat_map(|part| part.as_object().into_iter().flat_map(|part| part.values()))
            .chain([body])
            .any(|part| part["ConditionExpression"].is_string());
        let keys: Vec<String> = keys.into_iter().collect();
        Self { name: format!("{operation} {}", keys.join(" + ")), conditional }
    }
}

/// The words of the item that a write or a read is about.
fn key_of(part: &Value) -> String {
    key_in(if part["Item"].is_object() { &part["Item"] } else { &part["Key"] })
}

fn key_in(item: &Value) -> String {
    key(text(&item["pk"]), text(&item["sk"]))
}

fn text(value: &Value) -> &str {
    value["S"].as_str().unwrap_or_default()
}

fn key(pk: &str, sk: &str) -> String {
    let is_word = |part: &&str| {
        let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        letters && !part.is_empty() && part.len() <= LONGEST_WORD
    };
    let words = |key: &str| key.split('#').filter(is_word).map(str::to_owned).collect::<Vec<_>>().join("#");
    let first = |key: &str| key.split('#').next().unwrap_or_default().to_owned();
    match (words(sk), first(pk)) {
        (sk, pk) if sk.is_empty() => pk,
        (sk, pk) if first(&sk) == pk => sk,
        (sk, pk) => format!("{pk}/{sk}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(pk: &str, sk: &str) -> Value {
        json!({"pk": {"S": pk}, "sk": {"S": sk}})
    }

    #[test]
    fn a_call_is_named_by_the_words_of_its_keys_and_nothing_random() {
        let hash = "6kszfMRByZ04pDJ_Nf6IqMWnx7lOidgkQBmZKqMzvHE";
        let session = keys(&format!("SESSION#{hash}"), "SESSION");
        let listed = keys("USER#usr_01M7ZC6B55Q0HCKYVP7FCX87M7", &format!("SESSION#{hash}"));
        let row = keys("USER#usr_01M7ZC6B55Q0HCKYVP7FCX87M7", "MAPPING#00000000000000005003");
        for (operation, body, name, conditional) in [
            ("GetItem", json!({"Key": session}), "GetItem SESSION", false),
            (
                "PutItem",
                json!({"Item": keys("USER#usr_1", "TOKEN#enterprise_sso#gitlab"), "ConditionExpression": "a"}),
                "PutItem USER/TOKEN#enterprise_sso#gitlab",
                true,
            ),
            ("DeleteItem", json!({"Key": keys("RECONCILE", "LEASE")}), "DeleteItem RECONCILE/LEASE", false),
            (
                "Query",
                json!({"ExpressionAttributeValues": {":pk": {"S": "USER#usr_1"}, ":prefix": {"S": "PAGE#github#"}}}),
                "Query USER/PAGE#github",
                false,
            ),
            (
                "Query",
                json!({"IndexName": "gsi1", "ExpressionAttributeValues": {":pk": {"S": "INSTALLATIONS"}}}),
                "Query index INSTALLATIONS",
                false,
            ),
            (
                "TransactWriteItems",
                json!({"TransactItems": [
                    {"Put": {"Item": session, "ConditionExpression": "attribute_not_exists(pk)"}},
                    {"Delete": {"Key": listed}},
                ]}),
                "TransactWriteItems SESSION + USER/SESSION",
                true,
            ),
            (
                "BatchWriteItem",
                json!({"RequestItems": {"t": [{"PutRequest": {"Item": row}}, {"DeleteRequest": {"Key": row}}]}}),
                "BatchWriteItem USER/MAPPING",
                false,
            ),
            (
                "BatchGetItem",
                json!({"RequestItems": {"t": {"Keys": [row]}}}),
                "BatchGetItem USER/MAPPING",
                false,
            ),
            (
                "GetSecretValue",
                json!({"SecretId": "git-installations/token-keys"}),
                "GetSecretValue token-keys",
                false,
            ),
        ] {
            let expected = NamedCall { name: name.to_owned(), conditional };
            assert_eq!(NamedCall::new(operation, &body), expected, "{body}");
        }
    }
}
