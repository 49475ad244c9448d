//! Faults on request: `--fault ROUTE=FAULT` for every request, or `ROUTE=FAULTxN` for the first N.

mod fault;
mod responses;
mod schedule;
mod table;

pub use crate::faults::fault::Fault;
pub(crate) use crate::faults::schedule::FaultSchedule;
pub use crate::faults::table::{FAULTS, FaultSpec};
