//! An App's private key in whatever form an operator puts it into the secret.
//! Which forms there are, `shared` knows.

use shared::github_app::PrivateKey;

/// What is taken is taken again from the same text, however it was wrapped; what is refused says why in one line
/// without repeating any of it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match PrivateKey::from_text(text) {
        Ok(key) => {
            for same in [format!("\n {text}\n\n"), text.replace('\n', "\r\n"), text.replace('\n', "\\n")] {
                assert!(PrivateKey::from_text(&same).is_ok_and(|same| same.id() == key.id()), "{same:?}");
            }
        }
        Err(problem) => {
            let problem = problem.to_string();
            assert!(problem.len() < 300 && !problem.contains('\n'), "{problem}");
            let secret = text.lines().filter(|line| line.len() >= 24 && !line.contains('-'));
            assert!(secret.clone().all(|line| !problem.contains(line)), "a part of the key in {problem}");
        }
    }
}
