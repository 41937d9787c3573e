//! The sandbox keeps Bitbucket's rules where our client would never break them.
//! What the client makes of the rules is tested in the other modules.

use std::time::Duration;

use serde_json::{Value, json};

use super::lab::Lab;

impl Lab {
    fn bearer(&self, login: &str) -> String {
        format!("Bearer {}", self.sandbox.mint_user_token(login).access_token)
    }
}

fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().unwrap()
}

#[tokio::test]
async fn removed_endpoints_are_gone_for_everybody() {
    let lab = Lab::new().await;
    let cat = lab.bearer("bitbucket-cat");
    for path in
        ["/workspaces", "/repositories", "/user/permissions/workspaces", "/user/permissions/repositories?x=1"]
    {
        for authorization in [cat.as_str(), "", "Bearer nonsense"] {
            let (status, body) = lab.status(path, authorization).await;
            assert_eq!((status, body["type"].as_str()), (410, Some("error")), "{path}");
            assert!(message(&body).starts_with("CHANGE-2770"));
            assert!(body["error"]["data"]["announcement_url"].is_string());
        }
    }
}

#[tokio::test]
async fn a_page_has_ten_items_unless_another_size_up_to_a_hundred_is_asked_for() {
    let lab = Lab::new().await;
    let large = lab.bearer("large-workspaces");
    for (query, items) in [("", 10), ("?pagelen=100", 100), ("?pagelen=1&page=500", 1), ("?page=51", 0)] {
        let (status, body) = lab.status(&format!("/repositories/large-1{query}"), &large).await;
        assert_eq!((status, body["values"].as_array().unwrap().len()), (200, items), "{query}");
        assert_eq!(body["size"], 500);
        assert_eq!(body["next"].is_string(), matches!(query, "" | "?pagelen=100"), "{query}");
    }
    for query in
        ["pagelen=101", "pagelen=0", "pagelen=-1", "pagelen=x", "page=0", "page=x", "sort=stars", "role=x"]
    {
        let (status, body) = lab.status(&format!("/repositories/large-1?{query}"), &large).await;
        assert_eq!(status, 400, "{query}");
        assert_eq!(message(&body) == "Invalid pagelen", query.starts_with("pagelen"), "{query}");
    }
    let (_, body) = lab.status("/repositories/large-1?sort=-name&pagelen=3&page=2", &large).await;
    let next = format!("{}/repositories/large-1?sort=-name&pagelen=3&page=3", lab.sandbox.api_url());
    assert_eq!(body["next"], json!(next), "the rest of the query is kept");
}

#[tokio::test]
async fn a_role_narrows_what_is_listed() {
    let lab = Lab::new().await;
    let cat = lab.bearer("bitbucket-cat");
    let sizes = async |workspace: &str, authorization: &str| {
        let mut sizes = Vec::new();
        for role in ["", "?role=member", "?role=contributor", "?role=admin", "?role=owner"] {
            let (_, body) = lab.status(&format!("/repositories/{workspace}{role}"), authorization).await;
            sizes.push(body["size"].as_u64());
        }
        sizes
    };
    assert_eq!(sizes("printing-guild", &cat).await, [Some(2), Some(1), Some(0), Some(0), Some(0)]);
    assert_eq!(sizes("acme-corp", &cat).await, [Some(3), Some(3), Some(3), Some(0), Some(0)]);
    assert_eq!(sizes("bitbucket-cat", &cat).await, [Some(3); 5]);
    // Everybody sees what is public, and only that.
    assert_eq!(sizes("acme-corp", "").await, [Some(1), Some(0), Some(0), Some(0), Some(0)]);
}

#[tokio::test]
async fn a_workspace_is_shown_to_who_belongs_to_it() {
    let lab = Lab::new().await;
    let (cat, many) = (lab.bearer("bitbucket-cat"), lab.bearer("many-workspaces"));
    let (status, body) = lab.status("/workspaces/team-002", &many).await;
    assert_eq!((status, body["slug"].as_str()), (200, Some("team-002")));
    let (status, body) = lab.status("/workspaces/team-002", &cat).await;
    assert_eq!((status, message(&body)), (404, "Workspace team-002 not found"));
    assert_eq!(lab.status("/nothing", &cat).await.0, 404);

    let (_, body) = lab.status("/user/workspaces", &cat).await;
    let access = &body["values"][0];
    assert_eq!(
        (access["type"].as_str(), access["administrator"].as_bool()),
        (Some("workspace_access"), Some(true))
    );
    assert_eq!(access["workspace"]["type"], "workspace_base");
    assert!(access.get("permission").is_none() && access["workspace"].get("name").is_none());
    let (_, user) = lab.status("/user", &cat).await;
    assert_eq!(user["uuid"], access["workspace"]["uuid"], "the personal workspace has the user's uuid");
}

#[tokio::test]
async fn a_thousand_calls_for_repositories_in_any_hour_are_the_limit() {
    let lab = Lab::new().await;
    lab.sandbox.world(|world| world.hourly_limit = 3);
    let cat = lab.bearer("bitbucket-cat");
    let ask = async |path: &str| lab.status(path, &cat).await.0;
    for status in [200, 200, 200, 429] {
        assert_eq!(ask("/repositories/acme-corp").await, status);
    }
    assert_eq!(ask("/user/workspaces").await, 200, "only repositories are counted");
    let many = lab.bearer("many-workspaces");
    assert_eq!(lab.status("/repositories/team-002", &many).await.0, 200, "each user has a limit");
    lab.clock.advance(Duration::from_secs(3_601));
    assert_eq!(ask("/repositories/acme-corp").await, 200);
}

#[tokio::test]
async fn tokens_count_in_the_header_only_and_a_wrong_one_is_refused_even_for_what_is_public() {
    let lab = Lab::new().await;
    let token = lab.sandbox.mint_user_token("bitbucket-cat").access_token;
    let (status, body) = lab.status(&format!("/user?access_token={token}"), "").await;
    assert_eq!(status, 401);
    assert_eq!(message(&body), "Token is invalid, expired, or not supported for this endpoint.");
    assert_eq!(lab.status("/repositories/acme-corp", "").await.0, 200);
    for wrong in ["Bearer wrong", "Basic wrong", "Basic Og==", "Digest x", "wrong"] {
        assert_eq!(lab.status("/repositories/acme-corp", wrong).await.0, 401, "{wrong}");
    }
    let (status, body) = lab.status("/user", &format!("bearer {token}")).await;
    assert_eq!((status, body["nickname"].as_str()), (200, Some("bitbucket-cat")));
}

#[tokio::test]
async fn the_token_endpoint_knows_its_client_by_basic_only() {
    let lab = Lab::new().await;
    let url = format!("{}/site/oauth2/access_token", lab.sandbox.web_url());
    let refresh = lab.sandbox.mint_user_token("bitbucket-cat").refresh_token;
    let post = async |authorization: &str, body: String| {
        let request =
            lab.http.post(&url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let response = request.header("authorization", authorization).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
    };
    let fields = format!("grant_type=refresh_token&refresh_token={refresh}");
    let in_form = format!("{fields}&client_id=sandbox-key&client_secret=sandbox-secret");
    let (status, body) = post("none", in_form).await;
    assert_eq!((status, body["error"].as_str()), (401, Some("unauthorized_client")));
    let basic = "Basic c2FuZGJveC1rZXk6c2FuZGJveC1zZWNyZXQ=";
    let (status, body) = post(basic, "grant_type=password".to_owned()).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("unsupported_grant_type")));
    let (status, body) = post(basic, fields).await;
    assert_eq!((status, body["expires_in"].as_u64()), (200, Some(7_200)));
    assert_eq!((body["scope"].as_str(), body.get("scopes")), (Some("account repository"), None));
}
