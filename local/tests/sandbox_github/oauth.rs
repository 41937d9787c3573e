//! The web flow: codes, PKCE, refresh tokens, and the pages for people.
//! What the tokens open is tested in `visibility`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local::sandbox_github::Role;
use reqwest::Method;
use serde_json::json;

use super::lab::{CALLBACK, CLIENT, Lab, SETUP, parameter};

#[tokio::test]
async fn a_code_is_single_use_ten_minutes_and_bound_to_its_redirect_uri() {
    let lab = Lab::new().await;
    let code = lab.code(None);
    let granted = lab.exchange(&[("code", &code), ("redirect_uri", CALLBACK)]).await;
    assert_eq!(granted["expires_in"], 28_800);
    assert_eq!(granted["refresh_token_expires_in"], 15_897_600);
    assert_eq!(granted["token_type"], "bearer");
    assert_eq!(granted["scope"], "");
    let access = granted["access_token"].as_str().unwrap();
    assert!(access.starts_with("ghu_") && granted["refresh_token"].as_str().unwrap().starts_with("ghr_"));
    assert_eq!(lab.get("/user", &format!("Bearer {access}")).await.json()["login"], "octocat");

    assert_eq!(lab.exchange(&[("code", &code)]).await["error"], "bad_verification_code");
    let code = lab.code(None);
    let elsewhere = lab.exchange(&[("code", &code), ("redirect_uri", "http://localhost:3000/other")]).await;
    assert_eq!(elsewhere["error"], "redirect_uri_mismatch");
    let code = lab.code(None);
    lab.clock.advance(Duration::from_secs(601));
    assert_eq!(lab.exchange(&[("code", &code)]).await["error"], "bad_verification_code");
    let wrong = lab.exchange(&[("client_secret", "wrong"), ("code", &lab.code(None))]).await;
    assert_eq!(wrong["error"], "incorrect_client_credentials");
    assert!(wrong["error_description"].is_string() && wrong["error_uri"].is_string());
    // Without `Accept: application/json` the answer is a form.
    let reply = lab.post_form("/login/oauth/access_token", &CLIENT, "*/*").await;
    assert!(reply.body.starts_with("error=bad_verification_code&"), "{}", reply.body);
}

#[tokio::test]
async fn pkce_is_enforced_if_a_challenge_was_sent() {
    let lab = Lab::new().await;
    // The vector of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let granted = lab.exchange(&[("code", &lab.code(challenge)), ("code_verifier", verifier)]).await;
    assert!(granted["access_token"].is_string());
    for verifier in [&[("code_verifier", "wrong")][..], &[]] {
        let code = lab.code(challenge);
        let fields: Vec<_> = [("code", code.as_str())].into_iter().chain(verifier.iter().copied()).collect();
        assert_eq!(lab.exchange(&fields).await["error"], "bad_verification_code");
    }
}

#[tokio::test]
async fn a_refresh_token_is_single_use_and_ends_the_old_access_token() {
    let lab = Lab::new().await;
    let old = lab.github.mint_user_token("octocat");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", old.refresh_token.as_str())];
    let new = lab.exchange(&refresh).await;
    assert_eq!(lab.get("/user", &format!("Bearer {}", old.access_token)).await.status, 401);
    let access = format!("Bearer {}", new["access_token"].as_str().unwrap());
    assert_eq!(lab.get("/user", &access).await.status, 200);
    assert_eq!(lab.exchange(&refresh).await["error"], "bad_refresh_token");
    assert_eq!(lab.get("/user", &access).await.status, 200, "a replay does not end the new pair");

    let url = format!("{}/applications/Iv1.sandbox/token", lab.github.api_url());
    let basic = format!("Basic {}", STANDARD.encode("Iv1.sandbox:sandbox-secret"));
    let body = json!({"access_token": new["access_token"]}).to_string();
    for status in [204, 404] {
        let headers = [("authorization", basic.as_str())];
        assert_eq!(lab.send(Method::DELETE, url.clone(), &headers, body.clone()).await.status, status);
    }
    assert_eq!(lab.get("/user", &access).await.status, 401);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", new["refresh_token"].as_str().unwrap())];
    assert_eq!(lab.exchange(&refresh).await["error"], "bad_refresh_token");
}

#[tokio::test]
async fn the_authorize_page_checks_the_app_and_returns_with_the_choice() {
    let lab = Lab::new().await;
    let page = |query: String| format!("{}/login/oauth/authorize?{query}", lab.github.web_url());
    let redirect = form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect::<String>();
    let good = format!("client_id=Iv1.sandbox&redirect_uri={redirect}&state=%3Cs%3E&login=reader");
    let shown = lab.send(Method::GET, page(good.clone()), &[], String::new()).await;
    assert_eq!(shown.status, 200);
    assert!(shown.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(shown.body.contains("value=\"&lt;s&gt;\"") && shown.body.contains("forty-installations"));
    for (query, status) in [
        (good.replace("Iv1.sandbox", "Iv1.other"), 404),
        (good.replace("callback", "callback%2F"), 400),
        (format!("{good}&code_challenge=x&code_challenge_method=S256"), 400),
        (format!("{good}&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), 400),
    ] {
        assert_eq!(lab.send(Method::GET, page(query), &[], String::new()).await.status, status);
    }
    let fields = [("client_id", "Iv1.sandbox"), ("redirect_uri", CALLBACK), ("state", "s")];
    let choose = async |choice: (&'static str, &'static str)| {
        let fields: Vec<_> = fields.into_iter().chain([choice]).collect();
        let reply = lab.post_form("/login/oauth/authorize", &fields, "*/*").await;
        assert_eq!(reply.status, 302);
        reply.header("location").to_owned()
    };
    let chosen = choose(("choice", "reader")).await;
    assert!(chosen.starts_with(CALLBACK) && parameter(&chosen, "state").as_deref() == Some("s"));
    let granted = lab.exchange(&[("code", &parameter(&chosen, "code").unwrap())]).await;
    assert!(granted["access_token"].is_string());
    assert_eq!(parameter(&choose(("cancel", "1")).await, "error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn the_install_page_installs_and_returns_to_the_setup_url() {
    let lab = Lab::new().await;
    let path = "/apps/sandbox-installations/installations/new";
    for query in ["?state=s", "?state=s&login=newcomer"] {
        let url = format!("{}{path}{query}", lab.github.web_url());
        assert_eq!(lab.send(Method::GET, url, &[], String::new()).await.status, 200);
    }
    for (login, target, action) in [
        ("newcomer", "new-org", "install"),
        ("newcomer", "new-org", "update"),
        ("octocat", "octo-org", "update"),
    ] {
        let fields = [("login", login), ("target", target), ("state", "s")];
        let location = lab.post_form(path, &fields, "*/*").await.header("location").to_owned();
        assert!(location.starts_with(SETUP));
        assert_eq!(parameter(&location, "setup_action").as_deref(), Some(action));
        assert_eq!(parameter(&location, "installation_id"), Some(lab.installation_of(target).to_string()));
        assert_eq!(parameter(&location, "state").as_deref(), Some("s"));
    }
    let reached = lab.get("/user/installations", &lab.token("newcomer")).await.json();
    assert_eq!(reached["installations"][0]["account"]["login"], "new-org");
    lab.github.world(|world| {
        let (org, reader) = (world.add_organization("plain-org"), world.user("reader").unwrap().id);
        world.add_member(org, reader, Role::Member);
    });
    let fields = [("login", "reader"), ("target", "plain-org")];
    let location = lab.post_form(path, &fields, "*/*").await.header("location").to_owned();
    assert_eq!(location, format!("{SETUP}?setup_action=request"));
    assert_eq!(lab.post_form(path, &[("login", "reader"), ("target", "new-org")], "*/*").await.status, 400);
}
