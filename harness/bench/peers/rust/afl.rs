// Upstream's own target, one line, for AFL++.
fn main() {
    afl::fuzz!(|data: &[u8]| {
        let _ = safetensors::SafeTensors::deserialize(data);
    });
}
