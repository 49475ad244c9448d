//! Runs the fuzz targets over the corpus that `fuzz/run` has found.

use std::path::Path;

use gauth::fuzzing::TARGETS;

#[test]
fn every_target_accepts_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    // The published package has no corpus.
    if !corpus.exists() {
        return;
    }
    for (name, target) in TARGETS {
        let files: Vec<_> = std::fs::read_dir(corpus.join(name))
            .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"))
            .map(|file| file.expect("a file").path())
            .collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            println!("{}", file.display());
            target(&std::fs::read(&file).expect("readable"));
        }
    }
}
