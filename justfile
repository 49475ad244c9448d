# Everything that a maintainer runs. `just` alone lists it.
#
# just is optional: each recipe is one or two commands that work without it.

[private]
default:
    @just --list --unsorted

# Formatting and lints, as CI asks for them
check:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --workspace --all-targets --no-default-features -- -D warnings

# All tests; words after it choose some: just test rotation
test *FILTER:
    tests/run {{ FILTER }}

# The end-to-end tests with the counts of a release check
test-full *FILTER:
    GAUTH_TEST_FULL=1 cargo test --locked --test e2e -- {{ FILTER }}

# Write completions/ and man/ anew
generate:
    UPDATE=1 cargo test --locked generated

# Write the data about curl's options anew, from the curl that is installed
curl-options:
    cargo run --locked --example curl_options

# Fuzz the parsers; one target longer: just fuzz url 600
fuzz TARGET="all" SECONDS="15":
    fuzz/run {{ TARGET }} {{ SECONDS }}

# gauth beside google-auth, gcloud, moto, oidc-provider, Chromium, curl and shells
real:
    tests/real/run

# How long a token takes; options of the benchmark follow: just bench --runs 2000
bench *OPTIONS:
    cargo bench --locked -- {{ OPTIONS }}

# The gate on the instructions of a cached token
instructions:
    cargo run --locked --release --example instructions

# Licences, banned packages and sources of all dependencies
deny:
    cargo fetch --locked
    cargo deny --locked --offline check licenses bans sources

# Known vulnerabilities of dependencies; needs network access to the advisory database
advisories:
    cargo deny --locked check advisories

# What cargo would upload, for each package of the workspace, below target/package
package:
    cargo package --locked --workspace --no-verify

# All that CI does, on this machine
ci:
    .ci/run

# First step of a release (RELEASING.md): all checks with full counts, on a clean tree
release-check:
    test -z "$(git status --porcelain)"
    .ci/run
    GAUTH_TEST_FULL=1 cargo test --locked --test e2e
    cargo deny --locked check advisories

# Second step: build what is uploaded, and compile it from there
release-package:
    cargo package --locked --workspace

# Third step: tag the version that Cargo.toml names
release-tag:
    git tag --sign --message "gauth $(cargo pkgid --package gauth-cli | sed 's/.*[#@]//')" "v$(cargo pkgid --package gauth-cli | sed 's/.*[#@]//')"

# Last step: upload the packages, in the order of their dependencies
release-publish:
    cargo publish --locked --workspace
