//! Unpredictable bytes from the operating system.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use crate::error::{Error, Result};
use crate::text::hex;

/// The door to randomness.
pub trait Random {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When the operating system has none.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's generator.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|error| Error::unexpected(format!("no randomness from the system, {error}")))
    }
}

/// Eight random bytes as hex, for names of temporary files.
pub fn hex_name(random: &dyn Random) -> Result<String> {
    let mut bytes = [0; 8];
    random.fill(&mut bytes)?;
    Ok(hex::encode(&bytes))
}

/// A number in `0.0..1.0`, for jitter; no cryptography hangs on it.
pub fn unit_fraction(random: &dyn Random) -> f64 {
    let mut bytes = [0; 4];
    match random.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
