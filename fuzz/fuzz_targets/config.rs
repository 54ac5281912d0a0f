#![no_main]
//! The body is `mqttd_fuzz::config`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqttd_fuzz::config::run(bytes));
