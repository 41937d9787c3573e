//! The sandbox keeps GitLab's own rules, also those that our client never puts to the test.

use http::StatusCode;
use serde_json::{Value, json};

use super::lab::Lab;

async fn token(lab: &Lab, username: &str) -> String {
    lab.sandbox.mint_user_token(username).access_token
}

fn names(listed: &Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn offset_pages_say_everything_up_to_ten_thousand_items() {
    let lab = Lab::new().await;
    let token = token(&lab, "three-groups").await;
    let answer = lab.get("/api/v4/projects?membership=true&per_page=30&page=2", &token).await;
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    for (name, value) in [
        ("x-page", "2"),
        ("x-per-page", "30"),
        ("x-prev-page", "1"),
        ("x-next-page", "3"),
        ("x-total", "1500"),
        ("x-total-pages", "50"),
        ("ratelimit-name", "throttle_authenticated_api"),
        ("ratelimit-limit", "2000"),
    ] {
        assert_eq!(header(name).as_deref(), Some(value), "{name}");
    }
    let url = format!("{}/api/v4/projects?membership=true&page=", lab.sandbox.url());
    let link = |page: u64, relation: &str| format!("<{url}{page}&per_page=30>; rel=\"{relation}\"");
    let links = [link(1, "prev"), link(3, "next"), link(1, "first"), link(50, "last")].join(", ");
    assert_eq!(header("link"), Some(links));
    let last = lab.get("/api/v4/projects?membership=true&per_page=100&page=15", &token).await;
    assert_eq!(last.headers()["x-next-page"], "");
}

#[tokio::test]
async fn over_ten_thousand_items_nothing_is_counted() {
    let lab = Lab::new().await;
    let token = token(&lab, "ten-thousand").await;
    let answer = lab.get("/api/v4/projects?membership=true&per_page=100", &token).await;
    let headers = answer.headers();
    assert!(!headers.contains_key("x-total") && !headers.contains_key("x-total-pages"));
    assert_eq!(headers["x-next-page"], "2");
    assert!(!headers["link"].to_str().unwrap().contains("last"));
}

#[tokio::test]
async fn page_numbers_end_at_the_limit_and_ids_go_on() {
    let lab = Lab::new().await;
    let token = token(&lab, "ten-thousand").await;
    let too_far = lab.get("/api/v4/projects?membership=true&per_page=100&page=501", &token).await;
    assert_eq!(too_far.status(), StatusCode::METHOD_NOT_ALLOWED);
    let path = "/api/v4/projects?membership=true&pagination=keyset&order_by=id&sort=asc&per_page=2";
    let first = lab.get(path, &token).await;
    assert!(!first.headers().contains_key("x-next-page") && !first.headers().contains_key("x-total"));
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert!(link.contains("id_after=") && link.ends_with("rel=\"next\""), "{link}");
    let end = lab.get(&format!("{path}&id_after=99999999"), &token).await;
    assert!(!end.headers().contains_key("link"));
    for path in
        ["/api/v4/projects?pagination=keyset&order_by=name", "/api/v4/groups?pagination=keyset&order_by=name"]
    {
        let answer = lab.get(path, &token).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}

#[tokio::test]
async fn refusals_have_gitlabs_own_forms() {
    let lab = Lab::new().await;
    let good = token(&lab, "gitlab-cat").await;
    let personal = lab.sandbox.mint_personal_token("gitlab-cat", "read_user").unwrap();
    for (path, token, status, body) in [
        ("/projects?order_by=size", &good, 400, json!({"error": "order_by does not have a valid value"})),
        ("/projects?page=x", &good, 400, json!({"error": "page is invalid"})),
        ("/projects?per_page=0", &good, 400, json!({"error": "per_page has a value not allowed"})),
        ("/projects?archived=maybe", &good, 400, json!({"error": "archived is invalid"})),
        ("/groups/large-1/projects", &good, 404, json!({"message": "404 Group Not Found"})),
        ("/users/nobody/projects", &good, 404, json!({"message": "404 User Not Found"})),
        ("/nothing", &good, 404, json!({"error": "404 Not Found"})),
        (
            "/projects",
            &"nonsense".to_owned(),
            401,
            json!({"error": "invalid_token", "error_description": "Bad Access Token."}),
        ),
        (
            "/groups",
            &personal,
            403,
            json!({
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the access token.",
                "scope": "api read_api",
            }),
        ),
    ] {
        let answer = lab.get(&format!("/api/v4{path}"), token).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap(), body, "{path}");
    }
}

#[tokio::test]
async fn only_personal_tokens_stand_in_gitlabs_own_header() {
    let lab = Lab::new().await;
    let http = shared::provider::upstream::http_client(&[]).unwrap();
    let personal = lab.sandbox.mint_personal_token("gitlab-cat", "read_api").unwrap();
    let oauth = token(&lab, "gitlab-cat").await;
    for (token, status) in [(personal, 200), (oauth, 401)] {
        let url = format!("{}/api/v4/user", lab.sandbox.url());
        assert_eq!(http.get(url).header("private-token", token).send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn groups_are_those_with_members_inside_unless_a_level_is_asked_for() {
    let lab = Lab::new().await;
    let token = token(&lab, "gitlab-cat").await;
    let listed = async |query: &str| lab.json(&format!("/api/v4/groups?order_by=id&{query}"), &token).await;
    let all = ["cat-collective", "platform", "edge", "laboratory", "hardware", "agency"];
    assert_eq!(names(&listed("").await), all);
    assert_eq!(names(&listed("top_level_only=true").await), ["cat-collective", "laboratory", "agency"]);
    let by_level = listed("top_level_only=true&min_access_level=10&all_available=false").await;
    assert_eq!(names(&by_level), ["cat-collective"], "it knows nothing of what is the user's further inside");
    let root = lab.sandbox.mint_user_token("root").access_token;
    assert_eq!(lab.get("/api/v4/groups", &root).await.headers()["x-total"], "147");
}

#[tokio::test]
async fn simple_projects_tell_no_visibility_and_guests_no_branch() {
    let lab = Lab::new().await;
    let token = token(&lab, "gitlab-cat").await;
    let simple = lab.json("/api/v4/projects?membership=true&simple=true", &token).await;
    assert!(simple[0].get("visibility").is_none() && simple[0].get("archived").is_none());
    let guest = lab.json("/api/v4/groups/agency/projects?order_by=id&sort=asc", &token).await;
    assert_eq!(names(&guest), ["without-code", "shared"]);
    assert!(guest[0].get("default_branch").is_none() && guest[1].get("default_branch").is_some());
    // By number as well, and with what is shared with the group unless that is not wanted.
    let collective = lab.sandbox.world(|world| world.group("cat-collective").unwrap().id);
    let shared = lab.json(&format!("/api/v4/groups/{collective}/projects?search=shared"), &token).await;
    assert_eq!(names(&shared), ["shared"]);
    let path = format!("/api/v4/groups/{collective}/projects?search=shared&with_shared=false");
    assert!(names(&lab.json(&path, &token).await).is_empty());
}
