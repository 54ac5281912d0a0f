#![no_main]
//! The body is `mqttd_fuzz::control`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqttd_fuzz::control::run(bytes));
