# The two commands that matter: `make demo` shows Writ at work, `make test` proves it.
# Each does its own set-up; scripts/setup says first what it will install.

.PHONY: demo test bench check fmt openapi

demo:
	@scripts/setup demo
	@cargo build --locked --profile demo -p writ
	@"$${CARGO_TARGET_DIR:-target}/demo/writ" demo $(DEMO_ARGS)

test:
	@scripts/test

bench:
	@scripts/setup bench
	@scripts/bench

check:
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings

fmt:
	@cargo fmt --all
