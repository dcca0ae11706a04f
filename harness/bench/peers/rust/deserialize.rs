// Upstream's own target, one line.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = safetensors::SafeTensors::deserialize(data);
});
