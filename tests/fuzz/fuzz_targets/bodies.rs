#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hephaestus_fuzz::bodies(data));
