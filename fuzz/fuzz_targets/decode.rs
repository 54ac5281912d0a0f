#![no_main]
//! The body is `mqttd_fuzz::decode`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqttd_fuzz::decode::run(bytes));
