//! Little servers of raw bytes, each for one connection, in a thread of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// A server that has been started.
pub(super) struct OneShotServer {
    address: SocketAddr,
    received: Receiver<Vec<u8>>,
}

impl OneShotServer {
    /// Reads a request, sends these bytes, closes.
    pub(super) fn responding(answer: &[u8]) -> OneShotServer {
        OneShotServer::on("127.0.0.1:0", answer).expect("loopback")
    }

    /// The same at an address, if the machine has it.
    pub(super) fn on(address: &str, answer: &[u8]) -> Option<OneShotServer> {
        let answer = answer.to_vec();
        OneShotServer::start(address, move |mut stream| {
            let request = read_request(&mut stream);
            // A client that refuses the response may be gone before all of it is sent.
            let _ = stream.write_all(&answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            request
        })
    }

    /// Sends these bytes, then resets the connection.
    pub(super) fn resetting_after(before: &[u8]) -> OneShotServer {
        let before = before.to_vec();
        let start = OneShotServer::start("127.0.0.1:0", move |mut stream| {
            // Closing with part of the request unread makes the system send a reset.
            let mut first = [0; 1];
            let _ = stream.read(&mut first);
            let _ = stream.write_all(&before);
            thread::sleep(Duration::from_millis(100));
            Vec::new()
        });
        start.expect("loopback")
    }

    /// Sends these bytes one by one, with a pause before each, and then nothing.
    pub(super) fn byte_by_byte(answer: &[u8], pause: Duration) -> OneShotServer {
        let answer = answer.to_vec();
        let start = OneShotServer::start("127.0.0.1:0", move |mut stream| {
            let request = read_request(&mut stream);
            for byte in answer {
                thread::sleep(pause);
                if stream.write_all(&[byte]).is_err() {
                    return request;
                }
            }
            thread::sleep(pause);
            request
        });
        start.expect("loopback")
    }

    /// Accepts one connection and hands it over; what the handler returns counts as received.
    pub(super) fn start(
        address: &str,
        handle: impl FnOnce(TcpStream) -> Vec<u8> + Send + 'static,
    ) -> Option<OneShotServer> {
        let listener = TcpListener::bind(address).ok()?;
        let address = listener.local_addr().expect("address");
        let (sender, received) = channel();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("connection");
            let _ = sender.send(handle(stream));
        });
        Some(OneShotServer { address, received })
    }

    /// Its address and port, as URLs have them.
    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its root.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What it was sent, as text.
    pub(super) fn received(&self) -> String {
        let bytes = self.received.recv_timeout(Duration::from_secs(5)).expect("the server has ended");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Reads one request with its body, or what there is of it.
pub(super) fn read_request(stream: &mut impl Read) -> Vec<u8> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !is_complete(&request) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
    request
}

/// Whether head and announced body are there.
fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
