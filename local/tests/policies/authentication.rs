//! Whoever proves nothing is answered 401 in the form of the route's family, and costs no call to a host.

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::start;
use crate::requests::{Caller, Case, ask, cases};

/// The body of a 401, by the route's family.
fn expected(case: &Case, caller: Caller) -> Value {
    let path = case.path.as_str();
    if path.starts_with("/user/") || path.starts_with("/users/") {
        let message = match caller {
            Caller::Nobody => "Requires authentication",
            Caller::JwtWithoutAlgorithm => "A JSON web token could not be decoded",
            _ => "Bad credentials",
        };
        return json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": "401",
        });
    }
    if path.starts_with("/api/users/") {
        let message = match caller {
            Caller::Nobody => "Sign in or send an API key.",
            _ => "The session or key is unknown or has ended. Sign in again.",
        };
        return json!({"statusCode": 401, "statusMessage": "Unauthorized", "data": {"message": message}});
    }
    if path == "/webhooks/github" {
        // Nobody's credential counts there: only GitHub's signature.
        return json!({"error": "signature", "message": "The header X-Hub-Signature-256 is missing."});
    }
    json!({"detail": "Unauthorized"})
}

#[tokio::test]
async fn nobody_is_answered_without_a_proof_and_no_host_is_asked() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let mut asked = 0;
    for caller in Caller::UNPROVED {
        for case in cases(&user).into_iter().filter(|case| !case.is_open()) {
            // Any token is forwarded there; whether it is one, GitHub knows.
            if caller == Caller::JwtWithoutAlgorithm && case.route == "GET /user/installations" {
                continue;
            }
            let what = format!("{caller:?} {} {}", case.method(), case.path);
            let answer = ask(&running, &user, &case, caller).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {answer:?}");
            assert_eq!(answer.json(), expected(&case, caller), "{what}");
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked} requests");
    assert!(running.github().calls().is_empty(), "{:?}", running.github().calls());
}

#[tokio::test]
async fn a_token_that_only_github_could_know_is_refused_by_every_other_route() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    for caller in [Caller::GithubUserToken, Caller::AppJwt] {
        for case in cases(&user).into_iter().filter(|case| !case.is_open()) {
            let at_home = match caller {
                Caller::AppJwt => case.route == "GET /users/{username}/installation",
                _ => false,
            };
            if at_home || case.route == "GET /user/installations" {
                continue;
            }
            let answer = ask(&running, &user, &case, caller).await;
            let what = format!("{caller:?} {} {}", case.method(), case.path);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {answer:?}");
        }
    }
    assert!(running.github().calls().is_empty(), "{:?}", running.github().calls());
}

#[tokio::test]
async fn api_keys_mean_nothing_under_auth() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let answer = running.get("/auth/session").api_key(&user).send().await;
    assert_eq!(answer.json()["user_id"], Value::Null, "{answer:?}");
    let setup = "/auth/github/setup?installation_id=1";
    let answer = running.get(setup).api_key(&user).send().await;
    assert!(answer.location().starts_with("/auth/github/login?return_to="), "{answer:?}");
    assert!(running.github().calls().is_empty());
}
