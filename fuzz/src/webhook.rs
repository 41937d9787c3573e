//! A webhook as it reaches us: headers and body. First its signature, then what it tells.
//! What an event changes is decided by the service.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use shared::github_app::webhook::{Change, parse, verify};

use crate::message;

const APP: u64 = 1001;

/// Only who knows a secret passes, and then whatever else the delivery is; what is read is bounded, and of our App.
pub fn run(data: &[u8]) {
    let (mut headers, body) = message::read(data);
    let secrets: [SecretString; 2] = ["it-is-a-secret", "and another"].map(SecretString::from);
    let signed = |secret: &SecretString| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let hex: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    };
    let sent: Vec<String> = headers
        .get_all("x-hub-signature-256")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase())
        .collect();
    let genuine = secrets.iter().any(|secret| sent.contains(&signed(secret)));
    if verify(&secrets, &headers, body).is_ok() {
        assert!(genuine, "a delivery passed that nobody signed");
    }
    for secret in &secrets {
        headers.insert("x-hub-signature-256", signed(secret).parse().expect("a header"));
        assert_eq!(verify(&secrets, &headers, body), Ok(()));
        let changed = [body, b" "].concat();
        assert!(verify(&secrets, &headers, &changed).is_err(), "another body passed");
        assert!(verify(&[SecretString::from("no secret")], &headers, body).is_err());
    }
    match parse(&headers, body, APP) {
        Ok(delivery) => {
            assert!((1..=64).contains(&delivery.guid.len()));
            assert!(delivery.guid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
            if delivery.target_id != APP {
                assert_eq!(delivery.change, Change::OtherApp, "what another App is told is not ours");
            }
            if let Change::Installation { installation, .. } | Change::Repositories { installation, .. } =
                &delivery.change
            {
                assert!(installation.app_id.is_none_or(|app| app == APP));
            }
            assert_eq!(parse(&headers, body, APP).as_ref(), Ok(&delivery));
        }
        Err(problem) => {
            let told = problem.to_string();
            assert!(told.len() < 400 && told.is_ascii() && !told.contains('\n'), "{told:?}");
        }
    }
}
