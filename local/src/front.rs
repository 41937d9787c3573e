//! What stands before a sandbox host at the address that everybody is told, to see its calls on the wire and to let
//! them go wrong there. What the host answers behind it is the sandbox's business.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use shared::provider::ProviderType;
use tokio::net::TcpListener;

/// Takes a host's address over.
pub trait Front: fmt::Debug + Send + Sync {
    /// Serves on `public` from now on, and passes on to `sandbox` what it lets pass.
    fn stand_before(&self, host: ProviderType, public: TcpListener, sandbox: SocketAddr);
}

/// Where a sandbox host listens, and under which port everybody reaches it.
#[derive(Debug)]
pub struct Place {
    /// Where it listens.
    pub listener: TcpListener,
    /// The port of its address.
    pub port: u16,
}

impl TryFrom<TcpListener> for Place {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { port: listener.local_addr()?.port(), listener })
    }
}

impl Place {
    /// A host's place at the address of `public`: there itself, or behind what stands there for it.
    ///
    /// # Errors
    /// No listener.
    pub async fn of(host: ProviderType, public: TcpListener, front: Option<&dyn Front>) -> io::Result<Self> {
        let Some(front) = front else { return public.try_into() };
        let port = public.local_addr()?.port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        front.stand_before(host, public, listener.local_addr()?);
        Ok(Self { listener, port })
    }
}
