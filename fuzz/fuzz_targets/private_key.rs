//! `private_key` under libFuzzer.
//! What it does with an input stands in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::private_key::run(data));
