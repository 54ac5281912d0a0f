#![no_main]
//! The body is `mqttd_fuzz::filters`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqttd_fuzz::filters::run(bytes));
