#![no_main]
//! The body is `mqttd_fuzz::round_trip`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqttd_fuzz::round_trip::run(bytes));
