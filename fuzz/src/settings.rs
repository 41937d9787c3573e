//! The functions' settings as an operator may write them, a line `NAME=value` each.
//! What each of them is for, `shared` knows.

use std::collections::BTreeMap;

use shared::config::{Config, endpoint, is_this_machine};
use url::Url;

const SOUND: [(&str, &str); 6] = [
    ("TABLE_NAME", "table"),
    ("GITHUB_APP_SECRET_ID", "app"),
    ("TOKEN_KEYS_SECRET_ID", "keys"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
];

/// An address that is taken keeps tokens off the open network; what is refused is named in one line.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut settings: BTreeMap<&str, &str> = SOUND.into();
    settings.extend(text.lines().filter_map(|line| line.split_once('=')));
    let config = match Config::from_lookup(|name| settings.get(name).map(|value| (*value).to_owned())) {
        Ok(config) => config,
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with(error.variable()) && !line.contains('\n'), "{line:?}");
            return;
        }
    };
    for base in [
        &config.github.api,
        &config.github.web,
        &config.gitlab.base,
        &config.bitbucket.api,
        &config.bitbucket.web,
    ] {
        address(base);
    }
    if let Some(public) = config.public_url.resolve(Some("api.test")) {
        address(&public);
    }
    assert!((1..=100).contains(&config.upstream.concurrency));
    assert!(config.stale_if_error.as_secs() <= 86_400);
    for line in text.lines() {
        if let Some(origin) = config.allowed_hosts.find(line) {
            address(origin);
        }
        // Whatever a segment is, it stays one below the base.
        let below = endpoint(&config.github.api, &["users", line, "installation"]);
        let prefix = config.github.api.path().trim_end_matches('/');
        let rest = below.path().strip_prefix(prefix).expect("below the base");
        assert_eq!(rest.split('/').count(), 4, "{below}");
        assert_eq!(Url::parse(below.as_str()).as_ref(), Ok(&below));
    }
}

fn address(url: &Url) {
    assert!(url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url)), "{url}");
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.query().is_none() && url.fragment().is_none());
}
