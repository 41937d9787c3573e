//! Where the browser is sent, and which answer is the issuer's.

use super::*;

fn query(url: &Url) -> Vec<String> {
    url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect()
}

#[tokio::test]
async fn a_sign_in_starts_with_pkce_and_a_nonce() {
    let world = World::new().await;
    let request = AuthorizeRequest {
        redirect_uri: "https://us.example/auth/enterprise_sso/callback",
        state: "s+1",
        code_challenge: "hash",
        nonce: "n&1",
        offline: false,
    };
    let url = world.sso.authorize_url(&world.client, &request, &budget()).await.unwrap();
    assert!(url.as_str().starts_with(&format!("{}/auth?", world.client.issuer)), "{url}");
    assert_eq!(
        query(&url),
        [
            "p=1",
            "client_id=git:installations",
            "redirect_uri=https://us.example/auth/enterprise_sso/callback",
            "response_type=code",
            "scope=openid email profile",
            "state=s+1",
            "nonce=n&1",
            "code_challenge=hash",
            "code_challenge_method=S256",
        ]
    );
}

#[tokio::test]
async fn an_answer_names_its_issuer_where_that_always_does() {
    let world = World::new().await;
    let check = async |iss: Option<&str>| world.sso.check_answer_issuer(&world.client, iss, &budget()).await;
    let issuer = world.client.issuer.as_str();
    let slash = format!("{issuer}/");
    assert_eq!(check(None).await, Ok(()), "not promised");
    assert_eq!(check(Some(issuer)).await, Ok(()));
    for other in ["", "https://evil.example", &slash] {
        assert_eq!(check(Some(other)).await, Err(SsoError::OtherIssuer), "{other}");
    }

    let mut document = world.discovery();
    document["authorization_response_iss_parameter_supported"] = json!(true);
    world.host.serve_json(DISCOVERY, &document);
    world.pass(kept::FRESH_SECONDS);
    assert_eq!(check(None).await, Err(SsoError::OtherIssuer), "promised");
    assert_eq!(check(Some(issuer)).await, Ok(()));
}

#[tokio::test]
async fn the_issuers_session_ends_too_where_it_offers_that() {
    let world = World::new().await;
    let ended = async |world: &World| {
        let (hint, back) = ("h.i.t".into(), "https://us.example/");
        world.sso.end_session_url(&world.client, &hint, back, &budget()).await
    };
    let url = ended(&world).await.unwrap().unwrap();
    assert_eq!(url.path(), "/realms/acme/logout");
    assert_eq!(
        query(&url),
        [
            "id_token_hint=h.i.t",
            "client_id=git:installations",
            "post_logout_redirect_uri=https://us.example/",
        ]
    );
    let world = World::new().await;
    let mut document = world.discovery();
    document.as_object_mut().unwrap().remove("end_session_endpoint");
    world.host.serve_json(DISCOVERY, &document);
    assert_eq!(ended(&world).await, Ok(None));
}

#[tokio::test]
async fn tokens_that_outlive_the_session_are_asked_for_where_they_are_offered_and_something_is_brokered() {
    let scope = async |world: &World, offline: bool| {
        let request =
            AuthorizeRequest { redirect_uri: "r", state: "s", code_challenge: "c", nonce: "n", offline };
        let url = world.sso.authorize_url(&world.client, &request, &budget()).await.unwrap();
        query(&url).into_iter().find(|pair| pair.starts_with("scope=")).unwrap()
    };
    let mut world = World::new().await;
    world.client.broker.insert(ProviderType::Github, "github".to_owned());
    assert_eq!(scope(&world, true).await, "scope=openid email profile", "not offered");

    let mut document = world.discovery();
    document["scopes_supported"] = json!(["openid", "offline_access"]);
    world.host.serve_json(DISCOVERY, &document);
    world.pass(kept::FRESH_SECONDS);
    assert_eq!(scope(&world, true).await, "scope=openid email profile offline_access");
    assert_eq!(scope(&world, false).await, "scope=openid email profile");
    world.client.broker.clear();
    assert_eq!(scope(&world, true).await, "scope=openid email profile", "nothing is brokered");
}
