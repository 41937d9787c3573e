//! Hosts that cannot be spoken with at all: one without an address, and one whose certificate nobody vouches for.
//! Everything that happens on a connection that stands is `fault`'s business.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

const CERTIFICATE: &[u8] = include_bytes!("fixtures/nobodys.certificate.der");
const KEY: &[u8] = include_bytes!("fixtures/nobodys.key.der");

/// How often a handshake was begun with the host of that certificate.
static HANDSHAKES: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn handshakes() -> usize {
    HANDSHAKES.load(Ordering::SeqCst)
}

/// An origin whose name is longer than DNS allows a label to be, so that no resolver has to be asked. Where one
/// gives it an address all the same, nobody listens there.
pub(crate) fn without_address() -> String {
    format!("http://{}.localhost:9", "a".repeat(64))
}

/// An origin that speaks TLS with a certificate of its own making.
pub(crate) fn of_nobody() -> String {
    static PORT: OnceLock<u16> = OnceLock::new();
    format!("https://localhost:{}", PORT.get_or_init(serve))
}

fn serve() -> u16 {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)
        .expect("a certificate and its key");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(mut connection) = ServerConnection::new(config.clone()) else { continue };
            HANDSHAKES.fetch_add(1, Ordering::SeqCst);
            // It ends with the client's alert.
            let _ = connection.complete_io(&mut stream);
        }
    });
    port
}
