//! TLS for a little server: what a connection reads and writes when it is not plain, and whom it spoke to.
//!
//! Clients may show a certificate of one issuer, and need not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::error::{Error, Result};
use crate::text::secret::Secret;

/// A server's side of TLS.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// With this certificate and its key, both PEM; clients are known by certificates of the third.
    ///
    /// # Errors
    /// When one of them is not what it should be, or the key is another certificate's.
    pub fn new(certificate: &str, key: &Secret, client_ca: &str) -> Result<ServerTls> {
        use rustls::pki_types::pem::PemObject;
        let failed = |what: String| Error::unexpected(format!("TLS cannot be set up, {what}"));
        let read =
            |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| failed(error.to_string()));
        let mut issuers = RootCertStore::empty();
        issuers.add(read(client_ca)?).map_err(|error| failed(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(issuers), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let key =
            PrivatePkcs8KeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|error| failed(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![read(certificate)?], PrivateKeyDer::Pkcs8(key))
            .map_err(|error| failed(error.to_string()))?;
        Ok(ServerTls(Arc::new(config)))
    }
}

/// The bytes of a connection, whether inside TLS or not.
pub(super) struct ServerStream<'a> {
    socket: &'a TcpStream,
    tls: Option<Box<StreamOwned<ServerConnection, &'a TcpStream>>>,
}

impl<'a> ServerStream<'a> {
    /// `None` when TLS cannot begin.
    pub(super) fn new(socket: &'a TcpStream, tls: Option<&ServerTls>) -> Option<ServerStream<'a>> {
        let tls = match tls {
            Some(ServerTls(config)) => {
                let connection = ServerConnection::new(Arc::clone(config)).ok()?;
                Some(Box::new(StreamOwned::new(connection, socket)))
            }
            None => None,
        };
        Some(ServerStream { socket, tls })
    }

    /// What carries the bytes.
    pub(super) fn socket(&self) -> &'a TcpStream {
        self.socket
    }

    /// The certificate the other side has shown and has the key of, as DER.
    pub(super) fn client_certificate(&self) -> Option<Vec<u8>> {
        let shown = self.tls.as_ref()?.conn.peer_certificates()?;
        shown.first().map(|certificate| certificate.to_vec())
    }

    /// Says goodbye as TLS wants it: what ends without is taken for torn off.
    pub(super) fn send_close_notify(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
    }
}

impl Read for ServerStream<'_> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(piece),
            None => self.socket.read(piece),
        }
    }
}

impl Write for ServerStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(),
            None => self.socket.flush(),
        }
    }
}
