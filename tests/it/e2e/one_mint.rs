//! Many processes that need the same token at once make one request, and share one failure.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Ended, Kind, Stage, alone, finish};

const MANY: usize = 200;
const LATE: Duration = Duration::from_millis(300);

/// Starts `count` runs, holds them at the lock of their token until all have arrived there, and lets go.
fn stampede(stage: &Stage, count: usize, words: &[&str]) -> Vec<Ended> {
    let lock =
        stage.own().join("locks").join(&stage.entry().file_name().unwrap().to_str().unwrap()[..2]);
    let gate = File::open(&lock).unwrap();
    gate.lock().unwrap();
    let running: Vec<_> = (0..count)
        .map(|_| {
            let mut command = stage.gauth(Kind::ServiceAccount, words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            (Instant::now(), command.spawn().unwrap())
        })
        .collect();
    let arrived = |id: u32| {
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
        descriptors.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == lock))
    };
    for (start, child) in &running {
        while !arrived(child.id()) && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(gate);
    let waiting: Vec<_> = running
        .into_iter()
        .map(|(start, child)| std::thread::spawn(move || finish(child, start)))
        .collect();
    waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// All end in time with this code; gives the different outputs.
#[track_caller]
fn outputs(ended: &[Ended], code: i32, budget: u64) -> Vec<String> {
    for one in ended {
        assert_eq!(one.code, code, "{one:?}");
        one.whole();
        assert!(one.took <= Duration::from_secs(budget + 1), "{one:?}");
    }
    let mut outputs: Vec<String> = ended.iter().map(|one| one.out.clone()).collect();
    outputs.sort();
    outputs.dedup();
    outputs
}

#[test]
fn many_with_a_stale_token_make_one_request() {
    let _alone = alone();
    let stage = Stage::late(&[], LATE);
    let old = stage.seed(100);
    let ended = stampede(&stage, MANY, &["token"]);
    let tokens = outputs(&ended, 0, 30);
    assert_eq!((tokens.len(), stage.google.count("token")), (1, 2));
    assert_ne!(tokens[0].trim_end(), old);
}

#[test]
fn many_with_nothing_make_one_request() {
    let _alone = alone();
    let stage = Stage::late(&[], LATE);
    // Its name is needed for the gate; it has expired.
    stage.seed(-1);
    let tokens = outputs(&stampede(&stage, MANY, &["token"]), 0, 30);
    assert_eq!((tokens.len(), stage.google.count("token")), (1, 2));
}

#[test]
fn many_that_ask_for_a_new_token_get_the_same_new_one() {
    let _alone = alone();
    let stage = Stage::late(&[], LATE);
    let old = stage.seed(3000);
    let tokens = outputs(&stampede(&stage, 50, &["token", "--refresh"]), 0, 30);
    assert_eq!((tokens.len(), stage.google.count("token")), (1, 2));
    assert_ne!(tokens[0].trim_end(), old);
}

/// The seed is the first request; what comes after it fails.
fn failing(fault: &str) -> Stage {
    Stage::new(&["token=string-expiryx1", &format!("token={fault}")])
}

#[test]
fn many_share_one_failure() {
    let _alone = alone();
    for (fault, budget, attempts) in
        [("503", 12, 3), ("hang", 8, 1), ("close", 12, 3), ("400", 12, 1)]
    {
        let stage = failing(fault);
        stage.seed(-1);
        let words = ["token", "--timeout", &format!("{budget}s")];
        let ended = stampede(&stage, MANY, &words);
        let code = if fault == "400" { 5 } else { 6 };
        outputs(&ended, code, budget);
        let count = stage.google.count("token");
        assert!(count <= attempts + 1, "{fault}: {count} requests");
        let mut causes: Vec<&str> = ended.iter().map(|one| one.two_lines().0).collect();
        causes.sort_unstable();
        causes.dedup();
        // Those whose own time ends with the holder's say that they have waited.
        causes.retain(|cause| fault != "hang" || !cause.contains("another gauth"));
        assert_eq!(causes.len(), 1, "{fault}: {causes:?}");
    }
}

#[test]
fn many_with_a_token_that_still_lasts_keep_it_when_nobody_answers() {
    let _alone = alone();
    for (fault, left) in [("503", 100), ("hang", 100), ("hang", 30)] {
        let stage = failing(fault);
        let token = stage.seed(left);
        let ended = stampede(&stage, MANY, &["token", "--timeout", "7s"]);
        assert_eq!(outputs(&ended, 0, 7), [format!("{token}\n")], "{fault}");
        let count = stage.google.count("token");
        assert!(count <= 4, "{fault}: {count} requests");
    }
}
