//! Connections that can be closed in the middle of an answer, for the fault of that name.
//! When that happens is decided in `serve`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How many bytes a connection may still send; a handler finds it as `ConnectInfo`.
#[derive(Clone, Debug)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Closes the connection once so many more bytes were sent.
    pub(crate) fn limit(&self, bytes: usize) {
        self.0.store(bytes, Ordering::SeqCst);
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn spend(&self, bytes: usize) {
        if self.left() != usize::MAX {
            self.0.fetch_sub(bytes, Ordering::SeqCst);
        }
    }
}

impl Connected<IncomingStream<'_, Door>> for Allowance {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().allowance.clone()
    }
}

/// The sandbox's listener.
#[derive(Debug)]
pub(crate) struct Door(pub(crate) TcpListener);

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the sandbox cannot set TCP_NODELAY");
        }
        (Wire { stream, allowance: Allowance(Arc::new(AtomicUsize::new(usize::MAX))) }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A TCP stream with an allowance.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    allowance: Allowance,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = bytes.len().min(self.allowance.left());
        if allowed == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
        }
        let sent = Pin::new(&mut self.stream).poll_write(cx, &bytes[..allowed]);
        if let Poll::Ready(Ok(sent)) = sent {
            self.allowance.spend(sent);
        }
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
