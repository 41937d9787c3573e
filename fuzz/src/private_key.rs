//! An App's private key in whatever form an operator puts it into the secret.
//! Which forms there are, `shared` knows.

use shared::github_app::PrivateKey;

/// What is taken is taken again from the same text, however it was wrapped; what is refused says why in one line.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match PrivateKey::from_text(text) {
        Ok(key) => {
            for same in [format!("\n {text}\n\n"), text.replace('\n', "\r\n"), text.replace('\n', "\\n")] {
                assert!(PrivateKey::from_text(&same).is_ok_and(|same| same.id() == key.id()), "{same:?}");
            }
        }
        Err(problem) => {
            let told = fixed(problem).to_string();
            assert!(told.len() < 300 && !told.contains('\n'), "{told}");
        }
    }
}

/// A problem that is copied and outlives its input can repeat no part of a key: the compiler proves it.
fn fixed<P: Copy + 'static>(problem: P) -> P {
    problem
}
