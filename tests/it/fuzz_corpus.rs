//! What the fuzzer has found worth keeping, run over the same targets: `fuzz/run` looks for more.

use std::path::Path;

use gauth::fuzzing::TARGETS;

#[test]
fn every_input_of_the_corpus_keeps_the_promises_of_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    // Not part of the published package.
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
