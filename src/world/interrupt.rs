//! Signals that end the process, noticed where something has to be put right first: a terminal, a line that is gone
//! afterwards.

#[cfg(unix)]
use std::sync::Arc;
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether such a signal has come, from now on. When this is dropped they end the process again.
#[derive(Debug)]
pub struct Interrupts {
    #[cfg(unix)]
    caught: Arc<AtomicUsize>,
    #[cfg(unix)]
    over: Arc<AtomicBool>,
}

#[cfg(unix)]
impl Interrupts {
    /// Notices them in place of ending.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn catch() -> std::io::Result<Interrupts> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        let (caught, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or_default();
            // What was registered stays: later signals are to do what they do by themselves.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&over))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&caught), number)?;
        }
        Ok(Interrupts { caught, over })
    }

    /// The number of the one that has come.
    pub fn came(&self) -> Option<i32> {
        let signal = self.caught.load(Ordering::Relaxed);
        i32::try_from(signal).ok().filter(|signal| *signal != 0)
    }
}

#[cfg(unix)]
impl Drop for Interrupts {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Ends the process as the signal does. Where the system lets it live on, this comes back.
#[cfg(unix)]
pub fn die(signal: i32) {
    _ = signal_hook::low_level::emulate_default_handler(signal);
}

#[cfg(not(unix))]
impl Interrupts {
    /// Does nothing: Ctrl-C ends the process.
    ///
    /// # Errors
    /// Never.
    pub fn catch() -> std::io::Result<Interrupts> {
        Ok(Interrupts {})
    }

    /// Never any.
    pub fn came(&self) -> Option<i32> {
        None
    }
}

/// There are no signals.
#[cfg(not(unix))]
pub fn die(_: i32) {}
