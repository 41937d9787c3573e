//! The laboratory that every test gets: a provider of its own, two clients, a broker that counts, and a listener for
//! logout tokens. No test lives here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};
use local::sandbox_openid::{
    Broker, Client, HostTokens, Options, ProviderKind, SandboxOpenid, World, demo_world,
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;
use shared::clock::Clock;
use tokio::net::TcpListener;
use url::Url;

pub(super) const CALLBACK: &str = "http://localhost:3000/auth/enterprise_sso/callback";
pub(super) const HOME: &str = "http://localhost:3000/";
pub(super) const CLIENT: &str = "sandbox-client";
/// What a header has to encode is in it.
pub(super) const SECRET: &str = "s3cret: 100%+/ä";
/// The vector of RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A broker whose tokens tell whose they are and how many there were before.
#[derive(Debug, Default)]
pub(super) struct Counting(AtomicUsize);

impl Broker for Counting {
    fn sign_in(&self, host: ProviderKind, login: &str) -> Option<HostTokens> {
        if login == "deleted-account" {
            return None;
        }
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Some(HostTokens {
            access_token: format!("{host:?}/{login}/{number}"),
            expires_in: 7_200,
            refresh_token: format!("refresh-{number}"),
            refresh_token_expires_in: (host == ProviderKind::Github).then_some(15_897_600),
            scope: if host == ProviderKind::Github { String::new() } else { "read_api".to_owned() },
        })
    }
}

/// The logout tokens that arrived, and what is answered to them.
#[derive(Clone, Default)]
pub(super) struct Inbox {
    tokens: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Inbox {
    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }

    pub(super) fn refuse(&self) {
        *self.refuses.lock().unwrap() = true;
    }
}

async fn receive(State(inbox): State<Inbox>, body: String) -> StatusCode {
    let fields: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let [(name, token)] = fields.as_slice() else { return StatusCode::BAD_REQUEST };
    assert_eq!(name, "logout_token");
    inbox.tokens.lock().unwrap().push(token.clone());
    if *inbox.refuses.lock().unwrap() { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

pub(super) struct Lab {
    pub(super) sandbox: SandboxOpenid,
    pub(super) clock: Clock,
    pub(super) http: reqwest::Client,
    pub(super) inbox: Inbox,
}

/// An answer, read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    pub(super) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::FOUND, "{self:?}");
        self.header(LOCATION)
    }

    /// What went wrong, as OAuth says it.
    pub(super) fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), text("error"), text("error_description"))
    }
}

pub(super) fn client(id: &str) -> Client {
    Client {
        client_id: id.to_owned(),
        client_secret: SECRET.to_owned(),
        redirect_uris: vec![CALLBACK.to_owned(), format!("{CALLBACK}?more=1")],
        post_logout_redirect_uris: vec![HOME.to_owned()],
        backchannel_logout_uri: None,
    }
}

pub(super) fn http_client() -> reqwest::Client {
    let tls = shared::provider::upstream::tls_config(&[]).unwrap();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::with(demo_world(), |_| {}).await
    }

    pub(super) async fn with(world: World, change: impl FnOnce(&mut Options)) -> Self {
        let inbox = Inbox::default();
        let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/backchannel-logout", receiver.local_addr().unwrap());
        let router = Router::new().route("/backchannel-logout", post(receive)).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(receiver, router).await });
        let mut options = Options::new(Client { backchannel_logout_uri: Some(address), ..client(CLIENT) });
        options.clients.push(client("second-client"));
        options.broker = Some(Arc::new(Counting::default()));
        change(&mut options);
        let clock = options.clock.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = SandboxOpenid::start(listener, world, options).await.unwrap();
        Self { sandbox, clock, http: http_client(), inbox }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/protocol/openid-connect{path}", self.sandbox.issuer())
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.text().await.unwrap() }
    }

    pub(super) async fn get(&self, url: &str) -> Answer {
        self.send(self.http.get(url)).await
    }

    pub(super) async fn bearer(&self, url: &str, token: &str) -> Answer {
        self.send(self.http.get(url).header(AUTHORIZATION, format!("Bearer {token}"))).await
    }

    pub(super) fn form(&self, url: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }

    /// A form of the client, which proves itself by `client_secret_post`.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = [&[("client_id", CLIENT), ("client_secret", SECRET)], fields].concat();
        self.send(self.form(&self.url(path), &fields)).await
    }

    /// The page's address for a usual request, with some parameters changed or, by an empty value, left out.
    pub(super) fn authorize_url(&self, changes: &[(&str, &str)]) -> String {
        let usual = [
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid"),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let mut fields: Vec<(&str, &str)> = usual.to_vec();
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        Url::parse_with_params(&self.url("/auth"), fields).unwrap().into()
    }

    /// Where the page leads when a button is pressed.
    pub(super) async fn choose(&self, authorize: &str, button: (&str, &str)) -> Answer {
        let url = Url::parse(authorize).unwrap();
        let mut fields: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        fields.push((button.0.to_owned(), button.1.to_owned()));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.send(self.form(&self.url("/auth"), &fields)).await
    }

    pub(super) async fn code(&self, username: &str) -> String {
        let answer = self.choose(&self.authorize_url(&[]), ("choice", username)).await;
        parameter(answer.location(), "code").unwrap()
    }

    pub(super) async fn exchange(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.post("/token", &fields).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Answer {
        self.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// The token endpoint's answer to a whole sign-in.
    pub(super) async fn sign_in(&self, username: &str) -> Tokens {
        let answer = self.exchange(&self.code(username).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Tokens(answer.json())
    }

    pub(super) async fn opens(&self, access_token: &str) -> bool {
        match self.bearer(&self.url("/userinfo"), access_token).await.status.as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    pub(super) async fn broker(&self, alias: &str, access_token: &str) -> Answer {
        self.bearer(&format!("{}/broker/{alias}/token", self.sandbox.issuer()), access_token).await
    }

    /// The claims of a token, if a signing key of the JWKS with its kid has signed it.
    pub(super) async fn verified(&self, token: &str) -> Option<Value> {
        let (header, claims) = parts(token);
        let jwks = self.get(&self.url("/certs")).await.json();
        let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"])?.clone();
        let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &header["alg"]));
        let verified = match header["alg"].as_str().unwrap() {
            "RS256" => RsaPublicKeyComponents { n: number("n"), e: number("e") }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                input.as_bytes(),
                &signature,
            ),
            "ES256" => {
                let point = [vec![4], number("x"), number("y")].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input.as_bytes(), &signature)
            }
            other => panic!("{other}"),
        };
        verified.is_ok().then_some(claims)
    }
}

/// What the token endpoint answered.
#[derive(Clone, Debug)]
pub(super) struct Tokens(pub(super) Value);

impl Tokens {
    pub(super) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name}"))
    }

    pub(super) fn access(&self) -> &str {
        self.text("access_token")
    }

    pub(super) fn refresh(&self) -> &str {
        self.text("refresh_token")
    }

    pub(super) fn id(&self) -> &str {
        self.text("id_token")
    }
}

/// A token's header and claims, not believed.
pub(super) fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// `Authorization: Basic`, with both halves as they are given.
pub(super) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}
