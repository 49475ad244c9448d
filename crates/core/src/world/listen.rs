//! Listening on loopback addresses only, so that other machines cannot connect.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};

/// Listens on a loopback address; port 0 takes a free one.
///
/// # Errors
/// When the address is not loopback (exit 9), or the system does not allow it.
pub fn bind_loopback(address: IpAddr, port: u16) -> Result<TcpListener> {
    if !address.is_loopback() {
        return Err(Error::not_safe(format!("{address} is not a loopback address")).hint("use 127.0.0.1 or ::1"));
    }
    TcpListener::bind(SocketAddr::new(address, port)).map_err(|error| {
        Error::unexpected(format!("port {port} of {address} cannot be listened on, {}", io_reason(&error)))
            .hint("--port 0, which takes a free one")
    })
}

/// Whether this machine has the address `::1` at all.
pub fn has_ipv6_loopback() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Wakes a listener that waits for a connection, so that it can see that it is to stop. Nothing is sent.
pub fn wake_listener(address: SocketAddr) {
    if address.ip().is_loopback() {
        drop(TcpStream::connect_timeout(&address, Duration::from_secs(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn only_loopback_is_listened_on() {
        for address in ["0.0.0.0", "::", "192.0.2.1", "169.254.169.254"] {
            let error = bind_loopback(address.parse().expect("address"), 0).expect_err(address);
            assert_eq!(error.kind(), ErrorKind::Unsafe);
        }
        let listener = bind_loopback("127.0.0.1".parse().expect("address"), 0).expect("listener");
        let port = listener.local_addr().expect("address").port();
        let taken = bind_loopback("127.0.0.1".parse().expect("address"), port).expect_err("taken");
        assert!(taken.message().contains("in use"), "{taken}");
    }
}
