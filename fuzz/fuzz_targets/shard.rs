#![no_main]
//! The body is `mqttd_fuzz::shard`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqttd_fuzz::shard::run(bytes));
