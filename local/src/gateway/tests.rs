use std::time::Instant;

use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

mod events;

/// A gateway whose functions do what their names say, on a free port.
struct Running {
    address: SocketAddr,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn headers(&self, name: &str) -> Vec<&str> {
        let named = |line: &'_ str| line.to_ascii_lowercase().starts_with(&format!("{name}: "));
        self.head.lines().filter(|line| named(line)).map(|line| &line[name.len() + 2..]).collect()
    }
}

async fn run() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = [
        ("GET", "/echo", "echo"),
        ("POST", "/echo", "echo"),
        ("GET", "/users/{username}/installation", "echo"),
        ("GET", "/auth/{provider}/login", "provider"),
        ("GET", "/auth/github/setup", "setup"),
        ("GET", "/files/{rest+}", "echo"),
        ("GET", "/shaped", "shaped"),
        ("GET", "/panics", "panics"),
        ("GET", "/hangs", "hangs"),
        ("GET", "/huge", "huge"),
    ];
    let routes: Vec<Route> = routes
        .map(|(method, path, function)| Route {
            method: method.to_owned(),
            path: path.to_owned(),
            function: function.to_owned(),
        })
        .into();
    let gateway =
        Gateway::new(&routes, handlers()).unwrap().with_integration_timeout(Duration::from_millis(500));
    tokio::spawn(gateway.run(listener, std::future::pending()));
    Running { address }
}

fn handlers() -> HashMap<String, Handler> {
    let hangs: Handler = Arc::new(|_| Box::pin(std::future::pending()));
    HashMap::from([
        (
            "echo".to_owned(),
            handler(|request| lambda_http::Response::new(Body::from(seen(&request).to_string()))),
        ),
        ("provider".to_owned(), handler(|_| lambda_http::Response::new(Body::from("provider")))),
        ("setup".to_owned(), handler(|_| lambda_http::Response::new(Body::from("setup")))),
        ("shaped".to_owned(), handler(|_| shaped())),
        ("panics".to_owned(), handler(|_| panic!("a handler's panic must not end the gateway"))),
        ("hangs".to_owned(), hangs),
        ("huge".to_owned(), handler(|_| lambda_http::Response::new(Body::from("x".repeat(7 << 20))))),
    ])
}

fn handler(
    answer: impl Fn(lambda_http::Request) -> lambda_http::Response<Body> + Send + Sync + 'static,
) -> Handler {
    let answer = Arc::new(answer);
    Arc::new(move |request| {
        let answer = Arc::clone(&answer);
        Box::pin(async move { answer(request) })
    })
}

fn shaped() -> lambda_http::Response<Body> {
    lambda_http::Response::builder()
        .status(202)
        .header("Link", "</next>; rel=\"next\"")
        .header("Set-Cookie", "a=1; Path=/")
        .header("Set-Cookie", "b=2")
        .header("Content-Type", "image/png")
        .body(Body::Binary(vec![0, 159, 146, 150]))
        .unwrap()
}

/// What a handler sees of a request.
fn seen(request: &lambda_http::Request) -> Value {
    let RequestContext::ApiGatewayV2(context) = request.request_context_ref().unwrap() else {
        panic!("not an event of payload format 2.0")
    };
    let names: Vec<_> = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
    let header = |name: &str| {
        request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let parameters = request.path_parameters();
    json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "username": parameters.first("username"),
        "rest": parameters.first("rest"),
        "q": request.query_string_parameters().all("q"),
        "names": names,
        "cookie": header("cookie"),
        "x-many": header("x-many"),
        "x-forwarded-for": header("x-forwarded-for"),
        "x-forwarded-proto": header("x-forwarded-proto"),
        "body": match request.body() {
            Body::Text(text) => json!({"text": text}),
            Body::Binary(bytes) => json!({"binary": bytes}),
            _ => Value::Null,
        },
        "domain": context.domain_name,
        "stage": context.stage,
        "route": context.route_key,
        "source": context.http.source_ip,
        "time": context.time,
        "epoch": context.time_epoch,
        "request_id": context.request_id,
        "invocation_id": request.lambda_context().request_id,
        "deadline": request.lambda_context().deadline,
        "function": request.lambda_context().env_config.function_name,
    })
}

impl Running {
    /// Sends these bytes as they are and reads until the gateway closes.
    async fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }

    async fn get(&self, target: &str, headers: &str) -> Answer {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: localhost:3000\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }

    async fn post(&self, target: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost:3000\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.send([head.as_bytes(), body].concat()).await
    }

    async fn assert_refusal(&self, answer: &Answer, status: u16, message: &str) {
        assert_eq!((answer.status, answer.json()), (status, json!({"message": message})));
        assert_eq!(answer.headers("content-type"), ["application/json"]);
        assert_eq!(self.get("/echo", "").await.status, 200, "the gateway goes on");
    }
}

#[tokio::test]
async fn a_path_parameter_arrives_decoded() {
    let gateway = run().await;
    for (sent, expected) in
        [("octocat", "octocat"), ("a%2Fb", "a/b"), ("M%C3%BCller", "Müller"), ("a+b", "a+b"), ("%3f", "?")]
    {
        let answer = gateway.get(&format!("/users/{sent}/installation"), "").await;
        assert_eq!(answer.json()["username"], expected);
    }
    assert_eq!(gateway.get("/files/a/b/c", "").await.json()["rest"], "a/b/c");
}

#[tokio::test]
async fn a_query_arrives_as_it_was_sent_with_every_value() {
    let gateway = run().await;
    let answer = gateway.get("/echo?q=1&q=a%20b&q=c%2Bd&x", "").await.json();
    assert_eq!(answer["q"], json!(["1", "a b", "c+d"]));
    assert_eq!(answer["uri"], "http://localhost:3000/echo?q=1&q=a%20b&q=c%2Bd&x");
}

#[tokio::test]
async fn cookies_and_repeated_headers_arrive_joined_and_those_of_the_connection_do_not() {
    let gateway = run().await;
    let headers = "Cookie: a=1; b=2\r\nCOOKIE: c=3\r\nX-Many: 1\r\nx-many: 2\r\nTE: trailers\r\n";
    let answer = gateway.get("/echo", headers).await.json();
    assert_eq!(answer["cookie"], "a=1; b=2; c=3");
    assert_eq!(answer["x-many"], "1,2");
    for name in ["connection", "te"] {
        assert!(!answer["names"].as_array().unwrap().contains(&json!(name)), "{name}");
    }
}

#[tokio::test]
async fn forwarding_headers_of_the_client_cannot_pretend() {
    let gateway = run().await;
    let answer =
        gateway.get("/echo", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n").await.json();
    assert_eq!(answer["x-forwarded-for"], "1.2.3.4, 127.0.0.1");
    assert_eq!(answer["x-forwarded-proto"], "http");
    assert_eq!(answer["source"], "127.0.0.1");
}

#[tokio::test]
async fn the_context_is_that_of_the_default_stage_with_a_deadline() {
    let gateway = run().await;
    let answer = gateway.get("/echo", "").await;
    let seen = answer.json();
    assert_eq!(seen["domain"], "localhost");
    assert_eq!(
        (&seen["stage"], &seen["route"], &seen["function"]),
        (&json!("$default"), &json!("GET /echo"), &json!("echo"))
    );
    assert_eq!(answer.headers("apigw-requestid"), [seen["request_id"].as_str().unwrap()]);
    assert_eq!(seen["invocation_id"].as_str().unwrap().len(), 36);
    assert_eq!(seen["deadline"].as_u64().unwrap(), seen["epoch"].as_u64().unwrap() + 30_000);
    let time = seen["time"].as_str().unwrap();
    assert!(time.ends_with(" +0000") && time.matches('/').count() == 2 && time.len() == 26, "{time}");
}

#[tokio::test]
async fn a_body_is_text_only_where_api_gateway_takes_it_for_text() {
    let gateway = run().await;
    for kind in ["application/json; charset=utf-8", "text/plain", "application/vnd.api+json"] {
        let answer = gateway.post("/echo", &format!("Content-Type: {kind}\r\n"), br#"{"a":1}"#).await;
        assert_eq!(answer.json()["body"], json!({"text": "{\"a\":1}"}), "{kind}");
    }
    for headers in [
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "",
        "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n",
    ] {
        let answer = gateway.post("/echo", headers, b"a=1").await;
        assert_eq!(answer.json()["body"], json!({"binary": b"a=1"}), "{headers}");
    }
    let answer = gateway.post("/echo", "Content-Type: application/json\r\n", b"\xff\xfe").await;
    assert_eq!(answer.json()["body"], json!({"binary": b"\xff\xfe"}));
    assert_eq!(gateway.get("/echo", "").await.json()["body"], Value::Null);
}

#[tokio::test]
async fn an_answer_keeps_its_status_headers_cookies_and_bytes() {
    let gateway = run().await;
    let answer = gateway.get("/shaped", "").await;
    assert_eq!((answer.status, answer.body.as_slice()), (202, [0, 159, 146, 150].as_slice()));
    assert_eq!(answer.headers("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(answer.headers("link"), ["</next>; rel=\"next\""]);
    assert_eq!(answer.headers("content-type"), ["image/png"]);
}

#[tokio::test]
async fn a_fixed_path_beats_a_parameter_and_only_whole_paths_match() {
    let gateway = run().await;
    assert_eq!(gateway.get("/auth/github/setup", "").await.body, b"setup");
    assert_eq!(gateway.get("/auth/github/login", "").await.body, b"provider");
    assert_eq!(gateway.get("/auth/gitlab/login", "").await.body, b"provider");
    for unknown in
        ["/auth/gitlab/setup", "/auth/github", "/auth/github/login/", "/ECHO", "/users//installation"]
    {
        assert_eq!(gateway.get(unknown, "").await.status, 404, "{unknown}");
    }
}

#[tokio::test]
async fn an_unknown_path_or_method_is_not_found() {
    let gateway = run().await;
    gateway.assert_refusal(&gateway.get("/nowhere", "").await, 404, "Not Found").await;
    gateway.assert_refusal(&gateway.post("/shaped", "", b"").await, 404, "Not Found").await;
    let head = gateway.send("HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(head.status, 404);
}

#[tokio::test]
async fn a_body_over_ten_megabytes_is_too_long_and_one_of_that_size_is_not() {
    let gateway = run().await;
    let answer = gateway.post("/echo", "", &vec![b'x'; BODY_LIMIT + 1]).await;
    gateway.assert_refusal(&answer, 413, "Request Too Long").await;
    assert_eq!(gateway.post("/shaped", "", &vec![b'x'; BODY_LIMIT]).await.status, 404);
}

#[tokio::test]
async fn a_cookie_of_a_megabyte_gets_an_answer_that_says_so() {
    let gateway = run().await;
    for length in [10_240, 1 << 20] {
        let answer = gateway.get("/echo", &format!("Cookie: a={}\r\n", "x".repeat(length))).await;
        gateway.assert_refusal(&answer, 431, "Request Header Fields Too Large").await;
    }
    assert_eq!(gateway.get("/echo", &format!("Cookie: a={}\r\n", "x".repeat(9000))).await.status, 200);
}

#[tokio::test]
async fn what_no_function_could_read_is_a_bad_request() {
    let gateway = run().await;
    for host in ["exa mple", "a]b", "local[host", "x:99999", "", "a@b/"] {
        let request = format!("GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        gateway.assert_refusal(&gateway.send(request).await, 400, "Bad Request").await;
    }
    gateway.assert_refusal(&gateway.get("/users/%ff/installation", "").await, 400, "Bad Request").await;
}

#[tokio::test]
async fn odd_but_valid_requests_reach_the_function() {
    let gateway = run().await;
    for target in [
        "/users/%00%0d%0a/installation",
        "/users/../installation",
        "/users/%25zz/installation",
        "/echo?%zz&&==",
        "/echo?a[]=|",
    ] {
        assert_eq!(gateway.get(target, "").await.status, 200, "{target}");
    }
    let foreign = gateway.get("/echo", "X-Many: M\u{fc}ller\r\nCookie: a=\u{fc}; b\r\n").await.json();
    assert_eq!((&foreign["x-many"], &foreign["cookie"]), (&json!("M\u{fc}ller"), &json!("a=\u{fc}; b")));
    let old = gateway.send("GET /echo HTTP/1.0\r\n\r\n").await;
    assert_eq!((old.status, &old.json()["domain"]), (200, &json!("localhost")));
    let v6 = gateway.send("GET /echo HTTP/1.1\r\nHost: [::1]:3000\r\nConnection: close\r\n\r\n").await;
    assert_eq!(v6.json()["domain"], "[::1]");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_gateway_goes_on() {
    let gateway = run().await;
    gateway.assert_refusal(&gateway.get("/panics", "").await, 500, "Internal Server Error").await;
}

#[tokio::test]
async fn an_answer_that_lambda_would_not_carry_is_an_internal_error() {
    let gateway = run().await;
    gateway.assert_refusal(&gateway.get("/huge", "").await, 500, "Internal Server Error").await;
}

#[tokio::test]
async fn a_handler_that_never_answers_is_unavailable_after_the_timeout() {
    let gateway = run().await;
    let started = Instant::now();
    let answer = gateway.get("/hangs", "").await;
    assert!(started.elapsed() >= Duration::from_millis(500));
    gateway.assert_refusal(&answer, 503, "Service Unavailable").await;
}

#[tokio::test]
async fn a_function_without_handler_and_a_handler_without_route_are_named() {
    let route = Route { method: "GET".to_owned(), path: "/x".to_owned(), function: "absent".to_owned() };
    let error = Gateway::new(&[route], handlers()).unwrap_err();
    assert_eq!(error.to_string(), "the route GET /x needs the function absent, which has no handler here");
    let error = Gateway::new(&[], handlers()).unwrap_err();
    assert_eq!(error.to_string(), "no route of template.yaml leads to the function echo");
}

#[tokio::test]
async fn a_stop_lets_a_running_request_finish_and_takes_no_new_ones() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let route = Route { method: "GET".to_owned(), path: "/slow".to_owned(), function: "slow".to_owned() };
    let slow: Handler = Arc::new(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            lambda_http::Response::new(Body::from("done"))
        })
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let gateway = Gateway::new(&[route], HashMap::from([("slow".to_owned(), slow)])).unwrap();
    let running = tokio::spawn(gateway.run(listener, async { stopped.await.unwrap() }));
    let client = tokio::spawn(async move { Running { address }.get("/slow", "").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    assert_eq!(client.await.unwrap().body, b"done");
    running.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
