//! What the environment names as a proxy sees nothing of the service: tokens would go through it.

use std::net::TcpListener;

use crate::run::{command, start_command};

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let mut command = command(&["--port", "0", "--data", data.to_str().unwrap()]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &address);
    }
    // The demo user signs in on the way: every host and both AWS endpoints are asked.
    let run = start_command(command, &data).await;
    let key = format!("Bearer {}", run.told("api_key"));
    let (status, _) = run.get("/api/user/repositories", ("Authorization", &key)).await;
    assert_eq!(status, 200);
    let connected = proxy.accept().map(|(_, from)| from);
    assert!(connected.is_err(), "{connected:?}");
}
