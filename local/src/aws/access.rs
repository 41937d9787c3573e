//! IAM on this machine: who calls, what a call does to which items or secrets, and whether that is allowed.
//! The rules are `template.yaml`'s; a caller that they do not name may do everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::hook::error;
use crate::template::policies::{Policy, Resource};
use crate::template::{KeySchema, TableDefinition};

/// More than any call may hold: DynamoDB's 16 MB.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// One thing that a function has done, as a policy would have to allow it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The function, by its folder's name.
    pub function: String,
    /// The action in full, e.g. `dynamodb:GetItem`.
    pub action: String,
    /// What it was done to.
    pub resource: Resource,
    /// The partition key; for a secret there is none.
    pub partition: Option<String>,
}

/// A handle to the rights of the functions; clones are the same handle.
#[derive(Clone, Debug, Default)]
pub struct Access {
    state: Arc<Mutex<Rights>>,
}

#[derive(Debug, Default)]
struct Rights {
    policies: BTreeMap<String, Policy>,
    table: Option<(String, TableDefinition)>,
    /// What the template calls each secret, by its id.
    secrets: BTreeMap<String, String>,
    used: BTreeSet<Use>,
    refused: Vec<String>,
}

/// What a call does, for one action on one resource: IAM is asked once for each.
type Parts = BTreeMap<(String, Resource), BTreeSet<String>>;

impl Access {
    /// From now on the caller with this access key id may do what the policy says and nothing else.
    pub fn restrict(&self, function: &str, policy: Policy) {
        self.lock().policies.insert(function.to_owned(), policy);
    }

    /// Tells which table is meant by the template's, and its keys.
    pub fn name_table(&self, name: &str, definition: &TableDefinition) {
        self.lock().table = Some((name.to_owned(), definition.clone()));
    }

    /// Tells which secret is meant by a name of the template.
    pub fn name_secret(&self, id: &str, resource: &str) {
        self.lock().secrets.insert(id.to_owned(), resource.to_owned());
    }

    /// What the functions have done, as far as it was allowed.
    #[must_use]
    pub fn used(&self) -> BTreeSet<Use> {
        self.lock().used.clone()
    }

    /// What was refused, in words.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.lock().refused.clone()
    }

    /// The same, and forgets it: for tests of the refusals themselves.
    #[must_use]
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().refused)
    }

    /// Whether the function may make this call; if not, why.
    fn decide(&self, function: &str, target: &str, body: &[u8]) -> Result<(), String> {
        let mut rights = self.lock();
        let Some(policy) = rights.policies.get(function) else { return Ok(()) };
        let decided = rights.parts(target, body).and_then(|parts| {
            for ((action, resource), partitions) in &parts {
                if !policy.allows(action, resource, partitions) {
                    return Err(format!("{action} on {resource:?} with the keys {partitions:?}"));
                }
            }
            Ok(parts)
        });
        match decided {
            Ok(parts) => {
                rights.used.extend(parts.into_iter().flat_map(|part| uses(function, part)));
                Ok(())
            }
            Err(what) => {
                let message = format!("{function} is not authorized to perform: {what}");
                rights.refused.push(message.clone());
                Err(message)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rights> {
        // Every change under the lock is complete, whatever a test's thread did with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn uses(function: &str, part: ((String, Resource), BTreeSet<String>)) -> Vec<Use> {
    let ((action, resource), partitions) = part;
    let one = |partition| Use {
        function: function.to_owned(),
        action: action.clone(),
        resource: resource.clone(),
        partition,
    };
    if partitions.is_empty() { vec![one(None)] } else { partitions.into_iter().map(Some).map(one).collect() }
}

impl Rights {
    /// What a call does. A call that is not understood here does what nobody may.
    fn parts(&self, target: &str, body: &[u8]) -> Result<Parts, String> {
        let (service, operation) = target.rsplit_once('.').unwrap_or_default();
        let call: Value = serde_json::from_slice(body).map_err(|_| format!("{target} without JSON"))?;
        if service == "secretsmanager" {
            let id = call["SecretId"].as_str().unwrap_or_default();
            let name = self.secrets.get(id).ok_or_else(|| format!("{operation} on the secret {id:?}"))?;
            let action = format!("secretsmanager:{operation}");
            return Ok([((action, Resource::Secret(name.clone())), BTreeSet::new())].into());
        }
        let mut parts = Parts::new();
        match operation {
            "TransactWriteItems" | "TransactGetItems" => {
                for item in call["TransactItems"].as_array().into_iter().flatten() {
                    for (kind, of) in item.as_object().into_iter().flatten() {
                        // A transaction needs the rights of its parts and none of its own.
                        let action = match kind.as_str() {
                            "ConditionCheck" => "ConditionCheckItem".to_owned(),
                            kind => format!("{kind}Item"),
                        };
                        self.add(&mut parts, &action, of)?;
                    }
                }
            }
            "BatchGetItem" => {
                for (table, of) in call["RequestItems"].as_object().into_iter().flatten() {
                    for key in of["Keys"].as_array().into_iter().flatten() {
                        let one = serde_json::json!({"TableName": table, "Key": key});
                        self.add(&mut parts, operation, &one)?;
                    }
                }
            }
            "BatchWriteItem" => {
                for (table, writes) in call["RequestItems"].as_object().into_iter().flatten() {
                    for (_, of) in
                        writes.as_array().into_iter().flatten().filter_map(Value::as_object).flatten()
                    {
                        let mut one = of.clone();
                        one["TableName"] = table.as_str().into();
                        self.add(&mut parts, operation, &one)?;
                    }
                }
            }
            _ => self.add(&mut parts, operation, &call)?,
        }
        if parts.is_empty() { Err(format!("{operation} of nothing")) } else { Ok(parts) }
    }

    /// Adds what one call, or one part of a transaction, does.
    fn add(&self, parts: &mut Parts, operation: &str, call: &Value) -> Result<(), String> {
        let (name, definition) = self.table.as_ref().ok_or("a call before there is a table")?;
        if call["TableName"].as_str() != Some(name) {
            return Err(format!("{operation} on the table {}", call["TableName"]));
        }
        let index = call["IndexName"].as_str();
        let key = match index {
            None => Some(&definition.key),
            Some(wanted) => {
                definition.indexes.iter().find(|index| index.name == wanted).map(|index| &index.key)
            }
        };
        let partition = key.and_then(|key| partition_of(call, key));
        let partition = partition.ok_or_else(|| format!("{operation} of items that no key names"))?;
        let resource = index.map_or(Resource::Table, |index| Resource::Index(index.to_owned()));
        parts.entry((format!("dynamodb:{operation}"), resource)).or_default().insert(partition);
        Ok(())
    }
}

/// The partition key that a call names: in its item, its key, or the condition of its query.
fn partition_of(call: &Value, key: &KeySchema) -> Option<String> {
    let attribute = key.partition.as_str();
    let named =
        [&call["Item"][attribute], &call["Key"][attribute]].into_iter().find_map(|of| of["S"].as_str());
    let queried = || {
        let condition = call["KeyConditionExpression"].as_str()?;
        let equal = condition.split(" AND ").find_map(|part| {
            let (name, value) = part.trim().split_once(" = ")?;
            let name = call["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
            (name == attribute).then_some(value)
        })?;
        call["ExpressionAttributeValues"][equal]["S"].as_str()
    };
    named.or_else(queried).map(str::to_owned)
}

/// The access key id of a signed request.
fn caller(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once("Credential=")?;
    credential.split('/').next()
}

/// Lets a call happen if its caller may make it.
pub(super) async fn authorize(State(access): State<Access>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = match axum::body::to_bytes(body, LONGEST_BODY).await {
        Ok(body) => body,
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let target = header("x-amz-target").unwrap_or_default();
    if let Some(caller) = caller(&parts.headers)
        && let Err(refusal) = access.decide(caller, target, &body)
    {
        tracing::error!(refusal, "the policy in template.yaml does not allow this");
        return error(StatusCode::BAD_REQUEST, "AccessDeniedException", &refusal);
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::Template;
    use crate::template::policies::Statement;

    const TABLE: &str = "git-installations";

    /// What `read` may do: get and put items of users and the counter, read the index, and one secret.
    fn access() -> Access {
        let access = Access::default();
        access.name_table(TABLE, &Template::embedded().unwrap().table);
        access.name_secret("app", "GitHubAppSecret");
        access.name_secret("keys", "TokenKeysSecret");
        let statement = |actions: &[&str], resource, keys: Option<&[&str]>| Statement {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: [resource].into(),
            leading_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
        };
        let items = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem"];
        access.restrict(
            "read",
            Policy {
                statements: vec![
                    statement(&items, Resource::Table, Some(&["USER#*", "COUNTER"])),
                    statement(&["dynamodb:Query"], Resource::Index("gsi1".to_owned()), None),
                    statement(
                        &["secretsmanager:GetSecretValue"],
                        Resource::Secret("GitHubAppSecret".to_owned()),
                        None,
                    ),
                ],
            },
        );
        access
    }

    fn dynamodb(access: &Access, operation: &str, call: &Value) -> Result<(), String> {
        access.decide("read", &format!("DynamoDB_20120810.{operation}"), call.to_string().as_bytes())
    }

    fn of(pk: &str) -> Value {
        json!({"TableName": TABLE, "Key": {"pk": {"S": pk}, "sk": {"S": "a"}}})
    }

    fn put(pk: &str) -> Value {
        json!({"TableName": TABLE, "Item": {"pk": {"S": pk}, "sk": {"S": "a"}}})
    }

    #[test]
    fn an_item_is_reached_by_its_key_and_the_action_only() {
        let access = access();
        assert_eq!(dynamodb(&access, "GetItem", &of("USER#1")), Ok(()));
        assert_eq!(dynamodb(&access, "PutItem", &put("COUNTER")), Ok(()));
        for (operation, call) in [
            ("GetItem", of("SESSION#1")),
            ("DeleteItem", of("USER#1")),
            ("PutItem", put("SESSION#1")),
            ("Scan", json!({"TableName": TABLE})),
            ("GetItem", json!({"TableName": "another", "Key": {"pk": {"S": "USER#1"}}})),
            ("ExecuteStatement", json!({"Statement": "SELECT * FROM t"})),
        ] {
            assert!(dynamodb(&access, operation, &call).is_err(), "{operation} {call}");
        }
        assert_eq!(access.take_refused().len(), 6);
        let used: Vec<_> = access.used().into_iter().map(|one| (one.action, one.partition)).collect();
        let expected = [("GetItem", "USER#1"), ("PutItem", "COUNTER")];
        assert_eq!(used, expected.map(|(of, key)| (format!("dynamodb:{of}"), Some(key.to_owned()))));
    }

    #[test]
    fn a_query_is_judged_by_the_partition_that_it_asks_for() {
        let access = access();
        let query = |condition: &str, value: &str| {
            json!({
                "TableName": TABLE,
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": {"#p": "pk"},
                "ExpressionAttributeValues": {":pk": {"S": value}, ":prefix": {"S": "USER#"}},
            })
        };
        for condition in ["pk = :pk AND begins_with(sk, :prefix)", "#p = :pk", "sk = :prefix AND pk = :pk"] {
            assert_eq!(dynamodb(&access, "Query", &query(condition, "USER#1")), Ok(()), "{condition}");
            assert!(dynamodb(&access, "Query", &query(condition, "SESSION#1")).is_err(), "{condition}");
        }
        assert!(dynamodb(&access, "Query", &query("sk = :pk", "USER#1")).is_err(), "no partition");
        let mut indexed = query("gsi1pk = :pk", "INSTALLATIONS");
        indexed["IndexName"] = json!("gsi1");
        assert_eq!(dynamodb(&access, "Query", &indexed), Ok(()));
        indexed["IndexName"] = json!("gsi2");
        assert!(dynamodb(&access, "Query", &indexed).is_err());
    }

    #[test]
    fn a_transaction_needs_the_right_of_each_part_and_a_batch_that_of_each_key() {
        let access = access();
        let transaction = |parts: Value| json!({"TransactItems": parts});
        let allowed = transaction(json!([{"Put": put("USER#1")}, {"Put": put("COUNTER")}]));
        assert_eq!(dynamodb(&access, "TransactWriteItems", &allowed), Ok(()));
        for parts in [
            json!([{"Put": put("USER#1")}, {"Put": put("SESSION#1")}]),
            json!([{"Put": put("USER#1")}, {"Delete": of("USER#1")}]),
            json!([{"Put": put("USER#1")}, {"ConditionCheck": of("USER#1")}]),
            json!([]),
        ] {
            assert!(dynamodb(&access, "TransactWriteItems", &transaction(parts.clone())).is_err(), "{parts}");
        }
        let batch = |keys: [&str; 2]| {
            let keys = keys.map(|pk| of(pk)["Key"].clone());
            json!({"RequestItems": {TABLE: {"Keys": keys}}})
        };
        assert_eq!(dynamodb(&access, "BatchGetItem", &batch(["USER#1", "USER#2"])), Ok(()));
        assert!(dynamodb(&access, "BatchGetItem", &batch(["USER#1", "SESSION#2"])).is_err());
    }

    #[test]
    fn a_secret_is_read_by_whom_its_id_is_allowed() {
        let access = access();
        let read = |caller: &str, id: &str| {
            let body = json!({"SecretId": id}).to_string();
            access.decide(caller, "secretsmanager.GetSecretValue", body.as_bytes())
        };
        assert_eq!(read("read", "app"), Ok(()));
        for id in ["keys", "unknown", ""] {
            assert!(read("read", id).is_err(), "{id}");
        }
        assert_eq!(read("somebody else", "keys"), Ok(()), "who has no policy may do everything");
    }

    #[test]
    fn the_caller_is_whose_access_key_signed() {
        let mut headers = HeaderMap::new();
        assert_eq!(caller(&headers), None);
        let signed = "AWS4-HMAC-SHA256 Credential=sign-in/20261121/us-east-1/dynamodb/aws4_request, \
                      SignedHeaders=host, Signature=0";
        headers.insert(AUTHORIZATION, signed.parse().unwrap());
        assert_eq!(caller(&headers), Some("sign-in"));
    }
}
