//! `gauth sandbox`.
use crate::commands::{Group, Spec, Status};
use crate::world::World;
use clap::ArgMatches;
/// x
pub const SPEC: Spec = Spec {
    name: "sandbox",
    aliases: &[],
    about: "x",
    examples: &[],
    more: "",
    group: Group::More,
    flags: |c| c,
    run,
};
fn run(_: &ArgMatches, _: &World) -> anyhow::Result<Status> {
    Ok(Status::DONE)
}
