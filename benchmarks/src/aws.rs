//! What a function finds in the two AWS services when it starts: an empty table, and secrets that fit.
//! The git hosts are the same server: they know nothing either.

use serde_json::{Value, json};

use crate::http::{Request, Response};

/// The secrets by the ids that the measured functions are given.
#[derive(Clone, Debug)]
pub struct Secrets {
    github_app: String,
}

impl Secrets {
    /// The id of the GitHub App's secret.
    pub const GITHUB_APP: &str = "benchmark/github-app";
    /// The id of the key ring's secret.
    pub const TOKEN_KEYS: &str = "benchmark/token-keys";
    /// The id of the OAuth clients' secret.
    pub const OAUTH_CLIENTS: &str = "benchmark/oauth-clients";

    /// An App with this private key.
    #[must_use]
    pub fn new(private_key: &str) -> Self {
        let github_app = json!({
            "app_id": 1001,
            "client_id": "Iv23benchmark",
            "client_secret": "benchmark",
            "private_key": private_key,
            "webhook_secret": "sandbox-webhook-secret",
        });
        Self { github_app: github_app.to_string() }
    }

    fn find(&self, id: &str) -> Option<String> {
        // Thirty-two bytes of nothing.
        let key = format!("{}=", "A".repeat(43));
        match id {
            Self::GITHUB_APP => Some(self.github_app.clone()),
            Self::TOKEN_KEYS => Some(json!({"current": "k1", "keys": {"k1": key}}).to_string()),
            Self::OAUTH_CLIENTS => Some("{}".to_owned()),
            _ => None,
        }
    }
}

/// The answer to a call of either service, or of a git host.
#[must_use]
pub fn answer(request: &Request, secrets: &Secrets) -> Response {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let target = request.header("x-amz-target").unwrap_or_default();
    let mut response = match target.rsplit('.').next() {
        Some("GetSecretValue") => {
            let id = body["SecretId"].as_str().unwrap_or_default();
            match secrets.find(id) {
                Some(value) => Response::json(
                    200,
                    &json!({"Name": id, "SecretString": value, "VersionId": "1", "VersionStages": ["AWSCURRENT"]})
                        .to_string(),
                ),
                None => Response::json(400, r#"{"__type":"ResourceNotFoundException"}"#),
            }
        }
        Some("Query" | "Scan") => Response::json(200, r#"{"Items":[],"Count":0,"ScannedCount":0}"#),
        Some("BatchGetItem") => Response::json(200, r#"{"Responses":{},"UnprocessedKeys":{}}"#),
        _ if target.starts_with("DynamoDB") => Response::json(200, "{}"),
        _ => return Response::json(404, r#"{"message":"Not Found"}"#),
    };
    for (name, value) in &mut response.headers {
        if name == "Content-Type" {
            "application/x-amz-json-1.0".clone_into(value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(target: &str, body: &str) -> (u16, Value) {
        let request = Request {
            headers: vec![("x-amz-target".to_owned(), target.to_owned())],
            body: body.as_bytes().to_vec(),
            ..Request::default()
        };
        let response = answer(&request, &Secrets::new("PEM"));
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    #[test]
    fn secrets_are_found_by_their_ids_only() {
        let (status, found) = call("secretsmanager.GetSecretValue", r#"{"SecretId":"benchmark/github-app"}"#);
        assert_eq!(status, 200);
        assert!(found["SecretString"].as_str().unwrap().contains("PEM"));
        assert_eq!(call("secretsmanager.GetSecretValue", r#"{"SecretId":"other"}"#).0, 400);
    }

    #[test]
    fn the_table_is_empty_and_the_hosts_know_nothing() {
        assert_eq!(call("DynamoDB_20120810.GetItem", "{}"), (200, json!({})));
        assert_eq!(call("DynamoDB_20120810.Query", "{}").1["Count"], 0);
        assert_eq!(call("", "").0, 404);
    }
}
