# The two commands that matter: `make demo` shows Writ at work, `make test` proves it.
# Each does its own set-up; scripts/setup says first what it will install.

.PHONY: demo demo-aws demo-kubernetes test bench check fmt

demo:
	@scripts/setup demo
	@cargo build --locked --profile demo -p writ
	@"$${CARGO_TARGET_DIR:-target}/demo/writ" demo $(DEMO_ARGS)

# The same for targets that are no databases: AWS (an emulator behind a strict fake), and a real Kubernetes API server.
demo-aws demo-kubernetes: demo-%:
	@scripts/setup demo-$*
	@tests/world/scripts/fetch-$*
	@cargo build --locked --profile demo -p writ -p writ-demos
	@"$${CARGO_TARGET_DIR:-target}/demo/writ-demos" $*

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
