//! One target: the one that this binary is named after.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(target) = writ_fuzz::target(env!("CARGO_BIN_NAME")) {
        (target.run)(data);
    }
});
