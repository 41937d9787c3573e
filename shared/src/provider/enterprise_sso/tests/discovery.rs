//! How the discovery document is found, kept and distrusted.

use super::*;
use crate::provider::enterprise_sso::discovery::ClientAuth;

async fn address(world: &World) -> Result<String, SsoError> {
    let request =
        AuthorizeRequest { redirect_uri: "r", state: "s", code_challenge: "c", nonce: "n", offline: false };
    let url = world.sso.authorize_url(&world.client, &request, &budget()).await?;
    Ok(url.path().to_owned())
}

const REFUSED: SsoError = SsoError::Discovery("is another issuer's");

#[tokio::test]
async fn it_is_kept_for_an_hour_and_an_old_one_is_the_last_resort() {
    let world = World::new().await;
    for _ in 0..3 {
        address(&world).await.unwrap();
    }
    world.pass(kept::FRESH_SECONDS - 5);
    address(&world).await.unwrap();
    assert_eq!(world.host.calls(DISCOVERY), 1);

    let mut moved = world.discovery();
    moved["authorization_endpoint"] = json!(format!("{}/other", world.host.origin));
    world.host.serve_json(DISCOVERY, &moved);
    world.pass(10);
    assert_eq!(address(&world).await.as_deref(), Ok("/other"));
    assert_eq!(world.host.calls(DISCOVERY), 2);

    world.host.serve(DISCOVERY, 500, &[], "");
    world.pass(kept::FRESH_SECONDS);
    assert_eq!(address(&world).await.as_deref(), Ok("/other"), "the copy of before");
    assert_eq!(address(&world).await.as_deref(), Ok("/other"));
    assert_eq!(world.host.calls(DISCOVERY), 3, "not at every sign-in");
    world.pass(kept::PAUSE_SECONDS);
    assert_eq!(address(&world).await.as_deref(), Ok("/other"));
    assert_eq!(world.host.calls(DISCOVERY), 4);
    world.pass(kept::LAST_RESORT_SECONDS - kept::FRESH_SECONDS - kept::PAUSE_SECONDS - 5);
    assert_eq!(address(&world).await.as_deref(), Ok("/other"), "for a day");
    world.pass(10);
    assert_eq!(address(&world).await, Err(SsoError::Host(ProviderError::BadResponse { status: 500 })));
}

#[tokio::test]
async fn no_redirect_leads_to_another_document() {
    for status in [301, 302, 303, 307, 308] {
        let (world, other) = (World::new().await, World::new().await);
        world.host.serve_json("/elsewhere", &world.discovery());
        other.host.serve_json("/elsewhere", &world.discovery());
        for target in ["/elsewhere".to_owned(), format!("{}/elsewhere", other.host.origin)] {
            world.host.serve(DISCOVERY, status, &[("location", &target)], "");
            let refused = SsoError::Host(ProviderError::BadResponse { status: 302 });
            let result = address(&world).await.unwrap_err();
            assert!(
                result == refused || result == SsoError::Host(ProviderError::BadResponse { status }),
                "{status} {target}: {result:?}"
            );
            assert_eq!(other.host.calls("/elsewhere"), 0);
        }
    }
    // Nor to other keys, nor a code to another address.
    for path in [KEYS, TOKEN] {
        let world = World::new().await;
        let id_token = world.key.token(&world.claims());
        world.host.serve_json(
            "/elsewhere",
            &json!({ "keys": [world.key.jwk()], "access_token": "at", "id_token": id_token }),
        );
        world.host.serve_json(TOKEN, &json!({ "access_token": "at", "id_token": id_token }));
        world.host.serve(path, 307, &[("location", "/elsewhere")], "");
        assert!(matches!(world.exchange().await, Err(SsoError::Host(_))), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_document_of_this_issuer_is_refused() {
    let world = World::new().await;
    let bad = |status| SsoError::Host(ProviderError::BadResponse { status });
    let issuer = |name: Value| {
        let mut document = world.discovery();
        document["issuer"] = name;
        document.to_string()
    };
    let large = format!("{}{}", world.discovery(), " ".repeat(LARGEST_DOCUMENT));
    let slash = json!(format!("{}/", world.client.issuer));
    for (status, body, expected) in [
        (200, "<html>".to_owned(), bad(200)),
        (200, large, bad(200)),
        (200, "[]".to_owned(), REFUSED),
        (200, issuer(json!(null)), REFUSED),
        (200, issuer(slash), REFUSED),
        (200, issuer(json!("https://sso.example")), REFUSED),
        (203, world.discovery().to_string(), bad(203)),
        (404, "no such realm".to_owned(), SsoError::Host(ProviderError::NotFound)),
        (403, String::new(), SsoError::Host(ProviderError::Forbidden(ForbiddenReason::Plain))),
        (429, String::new(), SsoError::Host(ProviderError::RateLimited { retry_after: None })),
    ] {
        world.host.serve(DISCOVERY, status, &[], &body);
        assert_eq!(address(&world).await, Err(expected), "{status} {}", &body[..body.len().min(60)]);
    }
    world.host.serve_json(DISCOVERY, &world.discovery());
    address(&world).await.expect("nothing bad was kept");
}

/// What becomes of this `token_endpoint` and this `end_session_endpoint` in the document of `issuer`.
fn judged(issuer: &str, endpoint: &str) -> (bool, bool) {
    let issuer: Issuer = issuer.parse().unwrap();
    let good = format!("{}x", issuer.url());
    let mut document = json!({
        "issuer": issuer.as_str(), "authorization_endpoint": good, "token_endpoint": good, "jwks_uri": good,
        "end_session_endpoint": endpoint, "revocation_endpoint": endpoint,
    });
    let read = Discovery::read(&issuer, &document).unwrap();
    assert_eq!(read.end_session_endpoint.is_some(), read.revocation_endpoint.is_some());
    let optional = read.end_session_endpoint.is_some();
    let mut required = Vec::new();
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let before = document[name].take();
        document[name] = json!(endpoint);
        required.push(Discovery::read(&issuer, &document).is_ok());
        document[name] = before;
    }
    assert!(required.iter().all(|one| *one == required[0]), "{endpoint}");
    (required[0], optional)
}

#[test]
fn an_address_out_of_the_document_must_not_lead_inside() {
    let public = "https://sso.example/realms/a/";
    let private = "https://10.1.2.3:8443/";
    let here = "http://127.0.0.1:9000/";
    for (issuer, endpoint, allowed) in [
        (public, "https://sso.example/token?p=policy", true),
        (public, "https://login.sso.example/token", true),
        (public, "https://oauth2.example.net:443/token", true),
        (public, "http://sso.example/token", false),
        (public, "ftp://sso.example/token", false),
        (public, "/token", false),
        (public, "", false),
        (public, "https://user@sso.example/token", false),
        (public, "https://:secret@sso.example/token", false),
        (public, "https://sso.example/token#x", false),
        (public, "https://sso.example/\\token", false),
        (public, "https://sso.example/to ken", false),
        (public, "https://sso.example:8443/token", false),
        (public, "https://other.example:444/token", false),
        (public, "https://localhost/token", false),
        (public, "https://a.localhost/token", false),
        (public, "https://localhost./token", false),
        (public, "https://host.docker.internal/token", false),
        (public, "https://127.0.0.1/token", false),
        (public, "https://169.254.169.254/latest", false),
        (public, "https://2130706433/token", false),
        (public, "https://0x7f.1/token", false),
        (public, "https://[::1]/token", false),
        (public, "https://[::ffff:169.254.169.254]/token", false),
        (public, "http://127.0.0.1:9000/token", false),
        (private, "https://10.1.2.3:8443/token", true),
        (private, "https://10.1.2.3/token", false),
        (private, "https://10.1.2.4:8443/token", false),
        (private, "http://10.1.2.3:8443/token", false),
        (here, "http://127.0.0.1:9000/token", true),
        (here, "http://127.0.0.1:9001/token", false),
        (here, "http://localhost:9000/token", false),
        (here, "http://sso.example/token", false),
        (here, "https://sso.example/token", true),
    ] {
        assert_eq!(judged(issuer, endpoint), (allowed, allowed), "{issuer} {endpoint}");
    }
}

#[tokio::test]
async fn a_name_of_the_document_that_leads_inside_is_not_connected_to() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut world = World::new().await;
    world.sso.look_up = {
        let asked = asked.clone();
        Arc::new(move |name: &str| {
            asked.lock().unwrap().push(name.to_owned());
            Ok(vec![std::net::IpAddr::from([127, 0, 0, 1])])
        })
    };
    let mut document = world.discovery();
    document["jwks_uri"] = json!("https://keys.example/jwks");
    document["revocation_endpoint"] = json!("https://tokens.example/revoke");
    world.host.serve_json(DISCOVERY, &document);
    let id_token = world.key.token(&world.claims());
    assert_eq!(world.sign_in(&id_token).await.unwrap_err(), SsoError::Host(ProviderError::Unreachable));
    let revoked = world.sso.revoke(&world.client, &"rt".into(), &budget()).await;
    assert_eq!(revoked, Err(ProviderError::Unreachable));
    let asked = asked.lock().unwrap().clone();
    assert!(asked.iter().any(|name| name == "keys.example"), "{asked:?}");
    assert!(asked.iter().any(|name| name == "tokens.example"), "{asked:?}");
    assert_eq!(world.host.calls(TOKEN), 1, "what is the issuer's own is asked as ever");
    assert!(
        asked.iter().all(|name| name.ends_with(".example")),
        "the issuer is the operator's word: {asked:?}"
    );
}

#[test]
fn what_is_missing_is_told_and_what_is_optional_may_be() {
    let issuer: Issuer = "https://sso.example".parse().unwrap();
    let good = json!({
        "issuer": "https://sso.example", "authorization_endpoint": "https://sso.example/a",
        "token_endpoint": "https://sso.example/t", "jwks_uri": "https://sso.example/k",
    });
    let read = Discovery::read(&issuer, &good).unwrap();
    assert!(read.end_session_endpoint.is_none() && read.revocation_endpoint.is_none());
    assert!(!read.answers_name_issuer);
    for (name, message) in [
        ("authorization_endpoint", "the issuer's discovery document names no authorization_endpoint"),
        ("token_endpoint", "the issuer's discovery document names no token_endpoint"),
        ("jwks_uri", "the issuer's discovery document names no jwks_uri"),
    ] {
        let mut document = good.clone();
        document[name] = json!(7);
        assert_eq!(Discovery::read(&issuer, &document).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_secret_stands_in_the_header_unless_only_the_form_is_offered() {
    let issuer: Issuer = "https://sso.example".parse().unwrap();
    let found = |token: Value, revocation: Value| {
        let address = "https://sso.example/x";
        let document = json!({
            "issuer": "https://sso.example", "authorization_endpoint": address, "token_endpoint": address,
            "jwks_uri": address, "token_endpoint_auth_methods_supported": token,
            "revocation_endpoint_auth_methods_supported": revocation,
        });
        let read = Discovery::read(&issuer, &document).unwrap();
        (read.token_auth, read.revocation_auth)
    };
    use ClientAuth::{Form, Header};
    let (basic, post) = (json!(["client_secret_basic"]), json!(["private_key_jwt", "client_secret_post"]));
    let both = json!(["client_secret_post", "client_secret_basic"]);
    assert_eq!(found(Value::Null, Value::Null), (Header, Header));
    assert_eq!(found(both, Value::Null), (Header, Header));
    assert_eq!(found(post.clone(), Value::Null), (Form, Form));
    assert_eq!(found(post.clone(), basic.clone()), (Form, Header));
    assert_eq!(found(basic, post), (Header, Form));
    assert_eq!(found(json!(["private_key_jwt"]), json!("odd")), (Header, Header));
}
