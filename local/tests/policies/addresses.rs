//! No address out of a payload is called: the fields that hold the addresses of a host's own API are not even read.
//! Links to further pages are read, and checked, in `provider::*::paging`; those of an issuer's document in `discovery`.

use std::fs;
use std::path::Path;

use crate::comparisons::sources;

/// What GitHub, GitLab and Bitbucket name in installations, repositories, projects and workspaces.
const OF_THE_API: [&str; 14] = [
    "access_tokens_url",
    "repositories_url",
    "installation_url",
    "events_url",
    "hooks_url",
    "clone_url",
    "git_url",
    "ssh_url",
    "contents_url",
    "archive_url",
    "organizations_url",
    "http_url_to_repo",
    "_links",
    "announcement_url",
];

#[test]
fn no_source_that_is_deployed_reads_an_address_of_the_api_out_of_a_payload() {
    for (path, text) in sources() {
        for name in OF_THE_API {
            // As serde reads it, by a field's name or a rename, or by an index into a value.
            let read = [format!(" {name}: "), format!("\"{name}\"")];
            assert!(!read.iter().any(|one| text.contains(one)), "{} reads {name}", path.display());
        }
    }
    // They are in the payloads, or there would be nothing to keep from.
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/webhooks/installation.created.1.json");
    let example = fs::read_to_string(example).unwrap();
    assert!(example.contains("access_tokens_url") && example.contains("repositories_url"));
}
